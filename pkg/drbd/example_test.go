package drbd_test

import (
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

// What a node knows when the peer has just vanished, on a DRBD 8.4 kernel.
func Example() {
	const dump = `exists resource name:res0 role:Secondary suspended:no
exists connection name:res0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown
exists device name:res0 volume:0 minor:1000 disk:UpToDate
exists peer-device name:res0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
exists -
`
	st, err := events2.ReadDump(strings.NewReader(dump))
	if err != nil {
		panic(err)
	}
	r := st.Resources["res0"]
	fmt.Println(drbd.PromotionScore(r))
	fmt.Println(drbd.Health(r))
	fmt.Println(r.RoleTargets())
	// Output:
	// 1000 true good data, peer unknown
	// [peer Connecting]
	// [1000]
}
