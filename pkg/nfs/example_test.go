package nfs_test

import (
	"fmt"

	"github.com/spacei/drbdnfs/pkg/nfs"
)

// The fsid is added; it is the same on every node.
func ExampleParseExports() {
	exports, err := nfs.ParseExports("/home/nfs/user-data 192.168.2.7(rw,sync)", "res0")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range exports {
		fmt.Println(e.Path, e.Client, e.Options)
	}
	// Output:
	// /home/nfs/user-data 192.168.2.7/32 [rw sync fsid=f2adfaf0-2dda-5631-9754-761052be05c9]
}
