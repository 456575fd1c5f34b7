package vip_test

import (
	"fmt"

	"github.com/spacei/drbdnfs/pkg/vip"
)

func ExampleParse() {
	vips, err := vip.Parse("192.168.2.63/24@ens3, fd00::63/64")
	fmt.Println(vips, err)
	_, err = vip.Parse("192.168.2.63")
	fmt.Println(err)
	// Output:
	// [192.168.2.63/24@ens3 fd00::63/64] <nil>
	// service address "192.168.2.63": no prefix length: write 192.168.2.63/24 with the length of your network
}
