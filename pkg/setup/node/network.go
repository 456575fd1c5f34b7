package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// askTime bounds each question to the network. All are asked at once.
const askTime = 2 * time.Second

// lookAddresses checks the node's own addresses and the service addresses
// against the interfaces of this machine.
func (s *Stage) lookAddresses(ctx context.Context) ([]setup.Item, error) {
	addrs, err := s.m.Addresses(ctx)
	if err != nil {
		return nil, err
	}
	links, err := s.m.Interfaces(ctx)
	if err != nil {
		return nil, err
	}
	items := []setup.Item{s.lookOwn("address", s.node.Address, addrs)}
	if s.node.SecondAddress != "" {
		items = append(items, s.lookOwn("second_address", s.node.SecondAddress, addrs))
	}
	if s.node.Diskless {
		return items, nil // it never has a service address
	}
	for i := range s.cfg.VIPs {
		items = append(items, s.lookVIP(i, addrs, links))
	}
	return items, nil
}

// carrier returns the entry of this machine for an address.
func carrier(addr string, addrs []host.Address) (host.Address, bool) {
	want, err := netip.ParseAddr(addr)
	if err != nil {
		return host.Address{}, false
	}
	i := slices.IndexFunc(addrs, func(a host.Address) bool { return a.Prefix.Addr() == want })
	if i < 0 {
		return host.Address{}, false
	}
	return addrs[i], true
}

func (s *Stage) lookOwn(key, addr string, addrs []host.Address) setup.Item {
	a, ok := carrier(addr, addrs)
	if ok {
		it := keep("address "+addr, "%s on %s", a.Prefix, a.Interface)
		it.Key = s.key(key)
		return it
	}
	return refuse(s.key(key), "address "+addr, "this node does not have it; it has "+listed(addrs),
		"write the address that the other nodes reach this one by, or configure it")
}

func listed(addrs []host.Address) string {
	var out []string
	for _, a := range addrs {
		if !a.Prefix.Addr().IsLoopback() && !a.Prefix.Addr().IsLinkLocalUnicast() {
			out = append(out, fmt.Sprintf("%s on %s", a.Prefix, a.Interface))
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}

// lookVIP checks that service address i can be put on an interface here.
func (s *Stage) lookVIP(i int, addrs []host.Address, links []host.Interface) setup.Item {
	v := s.cfg.VIPs[i]
	key, object := fmt.Sprintf("vip[%d].address", i), "service address "+v.Address
	prefix, err := netip.ParsePrefix(v.Address)
	if err != nil {
		return refuse(key, object, "is no address with a prefix length", "write it as 192.168.2.63/24")
	}
	for _, n := range s.cfg.Nodes {
		if same(n.Address, prefix.Addr()) || same(n.SecondAddress, prefix.Addr()) {
			return refuse(key, object, "is "+n.Name+"'s own address", "take an address that belongs to no machine")
		}
	}
	if v.Interface != "" && !slices.ContainsFunc(links, func(l host.Interface) bool { return l.Name == v.Interface }) {
		return refuse(fmt.Sprintf("vip[%d].interface", i), object, "there is no interface "+v.Interface+"; there are "+names(links), "name one of them")
	}
	for _, a := range addrs {
		if (v.Interface == "" || a.Interface == v.Interface) && a.Prefix.Addr() != prefix.Addr() && a.Prefix.Contains(prefix.Addr()) {
			it := keep(object, "in %s on %s", a.Prefix.Masked(), a.Interface)
			it.Key = key
			return it
		}
	}
	where := v.Interface
	if where == "" {
		where = "any interface"
	}
	return refuse(key, object, fmt.Sprintf("it is in no network on %s; this node has %s", where, listed(addrs)),
		"take an address of the clients' network, or configure that network here")
}

func same(text string, addr netip.Addr) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a == addr
}

func names(links []host.Interface) string {
	var out []string
	for _, l := range links {
		if !l.Loopback {
			out = append(out, l.Name)
		}
	}
	return strings.Join(out, ", ")
}

// lookPath sends each other node one packet as large as the interface takes:
// where a switch between them takes less, DRBD connects and then hangs.
func (s *Stage) lookPath(ctx context.Context) ([]setup.Item, error) {
	addrs, err := s.m.Addresses(ctx)
	if err != nil {
		return nil, err
	}
	own, ok := carrier(s.node.Address, addrs)
	if !ok {
		return nil, nil // refused already
	}
	data, err := s.m.ReadFile("/sys/class/net/" + own.Interface + "/mtu")
	mtu, bad := strconv.Atoi(strings.TrimSpace(string(data)))
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read the MTU of %s: %w", own.Interface, err)
	}
	items := make([]setup.Item, len(s.cfg.Nodes))
	var wg sync.WaitGroup
	for i, n := range s.cfg.Nodes {
		if i != s.index {
			wg.Go(func() { items[i] = s.ping(ctx, n.Name, n.Address, mtu) })
		}
	}
	wg.Wait()
	return slices.Delete(items, s.index, s.index+1), ctx.Err()
}

func (s *Stage) ping(ctx context.Context, name, addr string, mtu int) setup.Item {
	object := "path to " + name
	if !s.has("ping") {
		return keep(object, "not tested: ping is not installed")
	}
	header := 28 // IPv4 and ICMP
	if strings.Contains(addr, ":") {
		header = 48
	}
	try := func(args ...string) error {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		_, err := s.run(ctx, "setup.host.ping", "ping", append(append([]string{"-n", "-c", "1", "-W", "1"}, args...), addr)...)
		return err
	}
	if err := try(); err != nil {
		return warn(object, addr+" does not answer ping: the packet size was not tested", "start "+name+"; a firewall that drops ICMP also breaks the discovery of packet sizes")
	}
	if err := try("-M", "do", "-s", strconv.Itoa(mtu-header)); err != nil {
		return warn(object, fmt.Sprintf("packets of the interface's MTU, %d bytes, do not arrive at %s", mtu, addr), "set the same MTU on the nodes' interfaces and on what is between them")
	}
	return keep(object, "%s answers packets of %d bytes", addr, mtu)
}
