package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/edit"
)

const hostsFile = "/etc/hosts"

// resolved is what the node's resolver says about another node.
type resolved struct {
	addrs []string // of the name
	names []string // of the address
}

// resolve asks for the name and the address of every node, all at once, as
// programs would: /etc/hosts and DNS in the order of nsswitch.conf.
func (s *Stage) resolve(ctx context.Context) ([]resolved, error) {
	out := make([]resolved, len(s.cfg.Nodes))
	var wg sync.WaitGroup
	for i, n := range s.cfg.Nodes {
		wg.Go(func() {
			for _, f := range s.getent(ctx, "ahosts", n.Name) {
				out[i].addrs = append(out[i].addrs, f[0])
			}
		})
		wg.Go(func() {
			for _, f := range s.getent(ctx, "hosts", n.Address) {
				out[i].names = append(out[i].names, f[1:]...)
			}
		})
	}
	wg.Wait()
	return out, ctx.Err()
}

// getent returns the fields of what getent prints. What is not known, or not
// answered in time, has none.
func (s *Stage) getent(ctx context.Context, base, key string) [][]string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	out, err := s.run(ctx, "setup.host.getent", "getent", base, key)
	if err != nil {
		return nil
	}
	var list [][]string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 0 {
			list = append(list, f)
		}
	}
	return list
}

// lookNames checks that each node's name leads to its address and back, and
// writes to /etc/hosts what DNS does not know.
func (s *Stage) lookNames(ctx context.Context) ([]setup.Item, error) {
	if !s.has("getent") {
		return nil, nil // refused already
	}
	text, _, err := s.text(hostsFile)
	if err != nil {
		return nil, err
	}
	entries, err := edit.Hosts(text)
	if err != nil {
		return []setup.Item{refuse("", hostsFile, err.Error(), "repair the file by hand")}, nil
	}
	ours, _, err := edit.Block(text)
	if err != nil {
		return nil, err
	}
	found, err := s.resolve(ctx)
	if err != nil {
		return nil, err
	}
	var items []setup.Item
	var block strings.Builder
	for i, n := range s.cfg.Nodes {
		key := fmt.Sprintf("node[%d].address", i)
		known := slices.Contains(found[i].addrs, n.Address)
		if e, ok := contradiction(entries, n.Name, n.Address); ok {
			items = append(items, refuse(key, hostsFile, fmt.Sprintf("line %d gives %s another address than %s: %s", e.Line, n.Name, n.Address, strings.TrimSpace(e.Text)), "take "+n.Name+" out of that line"))
			continue
		}
		if s.cfg.Host.HostsFile && (!known || strings.Contains(" "+strings.Join(strings.Fields(ours), " ")+" ", " "+n.Name+" ")) {
			fmt.Fprintf(&block, "%s %s\n", n.Address, n.Name)
			continue
		}
		items = append(items, resolution(key, n.Name, n.Address, found[i]))
	}
	if block.Len() > 0 || ours != "" {
		items = append(items, s.hostsItem(block.String(), ours))
	}
	return items, nil
}

// contradiction finds an entry that gives name another address and none that
// gives it addr.
func contradiction(entries []edit.HostsEntry, name, addr string) (edit.HostsEntry, bool) {
	var other *edit.HostsEntry
	for i, e := range entries {
		if !e.Has(name) || strings.Contains(e.Address, ":") != strings.Contains(addr, ":") {
			continue
		}
		if e.Address == addr {
			return e, false
		}
		if other == nil {
			other = &entries[i]
		}
	}
	if other == nil {
		return edit.HostsEntry{}, false
	}
	return *other, true
}

// resolution is the item of a name that is not for setup to write.
func resolution(key, name, addr string, r resolved) setup.Item {
	it := keep("name "+name, "%s, both ways", addr)
	switch {
	case len(r.addrs) == 0:
		return refuse(key, it.Object, "does not lead to an address", "set hosts_file = true in [host], or add "+addr+" "+name+" to DNS")
	case !slices.Contains(r.addrs, addr):
		slices.Sort(r.addrs)
		it = warn(it.Object, fmt.Sprintf("leads to %s, not to %s", strings.Join(slices.Compact(r.addrs), ", "), addr), "set hosts_file = true in [host], or correct DNS, when tools shall reach it over the cluster's network")
	case !slices.ContainsFunc(r.names, func(n string) bool { return strings.EqualFold(n, name) }):
		it = warn(it.Object, fmt.Sprintf("leads to %s, which does not lead back to it", addr), "add the reverse entry to DNS")
	}
	it.Key = key
	return it
}

func (s *Stage) hostsItem(want, got string) setup.Item {
	it := setup.Item{Object: hostsFile, Action: setup.Change, Detail: lineList(want), Why: "DNS does not have them", Key: "host.hosts_file"}
	switch {
	case want == got:
		it.Action, it.Why = setup.Keep, ""
		return it
	case !s.cfg.Host.HostsFile:
		it.Action, it.Detail, it.Why = setup.Keep, "what setup wrote stays: "+lineList(got), "take it out by hand when DNS knows the names"
		return it
	case want == "":
		it.Action, it.Detail, it.Why = setup.Drop, "the lines that setup wrote", "the file does not ask for them any more"
	}
	it.Do = func(ctx context.Context, _ setup.Progress) error {
		err := s.rewrite(ctx, "setup.host.hosts", hostsFile, func(text string) (string, error) {
			if want == "" {
				return edit.RemoveBlock(text)
			}
			return edit.SetBlock(text, want)
		})
		if err != nil {
			return err
		}
		return s.verifyNames(ctx, want)
	}
	return it
}

func lineList(block string) string {
	return strings.Join(strings.Split(strings.TrimSpace(block), "\n"), ", ")
}

// verifyNames checks that what was written is what programs get.
func (s *Stage) verifyNames(ctx context.Context, block string) error {
	for line := range strings.Lines(block) {
		addr, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !slices.ContainsFunc(s.getent(ctx, "ahosts", name), func(f []string) bool { return f[0] == addr }) {
			return fmt.Errorf("%s says %s %s, getent ahosts %s does not: check the line hosts in /etc/nsswitch.conf", hostsFile, addr, name, name)
		}
	}
	return nil
}

func (s *Stage) removeNames(context.Context) ([]setup.Item, error) {
	return s.unmark(hostsFile, "setup.host.hosts.remove", edit.RemoveBlock, nil)
}
