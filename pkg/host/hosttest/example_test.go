package hosttest_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// An address that appears before there is a server is noticed.
func Example() {
	t := new(testing.T) // a test's own
	h := hosttest.New(t)
	h.Action(context.Background(), func(ctx context.Context) {
		_ = h.AddAddress(ctx, "vip.add", "ens3", netip.MustParsePrefix("192.168.2.63/24"))
	})
	fmt.Println(h.Ops(), h.Leftovers())
	fmt.Println(h.Violations())
	// Output:
	// [vip.add] [address 192.168.2.63]
	// [vip.add has broken: a service address is served or its ports are blocked]
}
