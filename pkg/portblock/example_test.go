package portblock_test

import (
	"fmt"
	"net/netip"

	"github.com/spacei/drbdnfs/pkg/portblock"
)

func ExampleCompute() {
	b, err := portblock.Compute(
		[]netip.Addr{netip.MustParseAddr("192.168.2.63")},
		portblock.Ports{NFS: 2049, LockdTCP: 32774, LockdUDP: 32775},
	)
	fmt.Println(b.Addrs, b.TCP, b.UDP, err)
	// Output: [192.168.2.63] [2049 32774] [2049 32775] <nil>
}
