package frame_test

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/spacei/drbdnfs/pkg/vip/frame"
)

func ExampleGratuitousARP() {
	mac, _ := net.ParseMAC("52:54:00:12:34:56")
	request, reply := frame.GratuitousARP(mac, netip.MustParseAddr("192.168.2.63"))
	a, _ := frame.ParseARP(reply)
	fmt.Println(len(request), len(reply), a.SenderIP, "is at", a.SenderMAC)
	// Output: 42 42 192.168.2.63 is at 52:54:00:12:34:56
}
