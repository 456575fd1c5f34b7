package peers_test

import (
	"fmt"

	"github.com/spacei/drbdnfs/pkg/peers"
)

func ExampleParse() {
	list, skipped := peers.Parse([]byte("# drbdnfs peers 1\n192.168.2.63:2049 192.168.2.10:812\n192.168.2.63:2049 192.168"))
	fmt.Println(list, skipped)
	// Output: [192.168.2.63:2049 192.168.2.10:812] 1
}
