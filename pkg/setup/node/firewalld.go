package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// firewalld is what firewalld says, asked once for each zone: every question to
// it costs a third of a second.
type firewalld struct {
	s        *Stage
	services []string // that the running one knows
	zones    map[string]zoneRules
}

func (s *Stage) newFirewalld() *firewalld { return &firewalld{s: s, zones: map[string]zoneRules{}} }

// zoneRules are the rules of a zone, of the running firewall or of the
// permanent configuration.
type zoneRules struct{ services, ports, rich []string }

// has reports whether a rule of opening.rule is there. firewalld joins ports to
// ranges.
func (z zoneRules) has(rule string) bool {
	kind, value, _ := strings.Cut(rule, "=")
	switch kind {
	case "service":
		return slices.Contains(z.services, value)
	case "port":
		return slices.ContainsFunc(z.ports, func(p string) bool { return covers(p, value) })
	}
	return slices.Contains(z.rich, value)
}

// covers reports whether a port or range such as 7000-7100/tcp includes another.
func covers(outer, inner string) bool {
	a, ok := portRange(outer)
	b, ok2 := portRange(inner)
	_, ap, _ := strings.Cut(outer, "/")
	_, bp, _ := strings.Cut(inner, "/")
	return ok && ok2 && ap == bp && a[0] <= b[0] && b[1] <= a[1]
}

func portRange(s string) (r [2]int, ok bool) {
	ports, _, _ := strings.Cut(s, "/")
	from, to, two := strings.Cut(ports, "-")
	if !two {
		to = from
	}
	a, err := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	return [2]int{a, b}, err == nil && err2 == nil
}

func (f *firewalld) list(ctx context.Context, zone string, permanent bool) (zoneRules, error) {
	key := fmt.Sprint(zone, permanent)
	if z, ok := f.zones[key]; ok {
		return z, nil
	}
	out, err := f.s.run(ctx, "setup.host.firewall.list", "firewall-cmd", command(zone, permanent, "--list-all")...)
	if err != nil {
		return zoneRules{}, err
	}
	var z zoneRules
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "rule ") {
			z.rich = append(z.rich, line)
		}
		if rest, ok := strings.CutPrefix(line, "services:"); ok {
			z.services = strings.Fields(rest)
		}
		if rest, ok := strings.CutPrefix(line, "ports:"); ok {
			z.ports = strings.Fields(rest)
		}
	}
	f.zones[key] = z
	return z, nil
}

// command is the arguments of firewall-cmd.
func command(zone string, permanent bool, options ...string) []string {
	args := append([]string{"--zone=" + zone}, options...)
	if permanent {
		args = append([]string{"--permanent"}, args...)
	}
	return args
}

// rules are those of an opening, of the running firewall or of the permanent
// configuration.
func (f *firewalld) rules(ctx context.Context, o opening, permanent bool) ([]string, error) {
	if f.services == nil && !permanent {
		out, err := f.s.run(ctx, "setup.host.firewall.services", "firewall-cmd", "--get-services")
		if err != nil {
			return nil, err
		}
		f.services = strings.Fields(out)
	}
	if permanent || slices.Contains(f.services, o.service) {
		return []string{o.rule()}, nil
	}
	return o.portRules(), nil
}

// pick returns the rules of an opening that are there, or those that are not.
func (f *firewalld) pick(ctx context.Context, o opening, permanent, there bool) ([]string, error) {
	rules, err := f.rules(ctx, o, permanent)
	if err != nil {
		return nil, err
	}
	z, err := f.list(ctx, o.zone, permanent)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rules, func(r string) bool { return z.has(r) != there }), nil
}

func (f *firewalld) isOpen(ctx context.Context, o opening) (bool, error) {
	for _, permanent := range []bool{true, false} {
		missing, err := f.pick(ctx, o, permanent, false)
		if err != nil || len(missing) > 0 {
			return false, err
		}
	}
	return true, nil
}

// open adds what is missing, and looks whether it is there.
func (f *firewalld) open(ctx context.Context, o opening) error {
	for _, permanent := range []bool{true, false} {
		missing, err := f.pick(ctx, o, permanent, false)
		if err == nil && len(missing) > 0 {
			err = f.s.change(ctx, "setup.host.firewall.add", "firewall-cmd", command(o.zone, permanent, options("--add-", missing)...)...)
		}
		if err != nil {
			return fmt.Errorf("open %s in zone %s: %w", o.service, o.zone, err)
		}
	}
	ok, err := f.s.newFirewalld().isOpen(ctx, o)
	if err == nil && !ok {
		err = fmt.Errorf("firewalld took the rules for %s in zone %s and does not show them", o.service, o.zone)
	}
	return err
}

func options(prefix string, rules []string) []string {
	var out []string
	for _, r := range rules {
		out = append(out, prefix+r)
	}
	return out
}

// close removes the opening, from the permanent configuration last: what is not
// there was not opened by setup, and ports that are open for another reason stay.
func (f *firewalld) close(ctx context.Context, o opening) error {
	for _, permanent := range []bool{false, true} {
		found, err := f.pick(ctx, o, permanent, true)
		if err == nil && len(found) > 0 {
			err = f.s.change(ctx, "setup.host.firewall.remove", "firewall-cmd", command(o.zone, permanent, options("--remove-", found)...)...)
		}
		if err != nil {
			return fmt.Errorf("close %s in zone %s: %w", o.service, o.zone, err)
		}
	}
	return nil
}

// removeFirewall closes what setup has opened.
func (s *Stage) removeFirewall(ctx context.Context) ([]setup.Item, error) {
	if s.cfg.Host.Firewall != "firewalld" {
		return nil, nil
	}
	running, err := s.firewalld(ctx)
	if err != nil || !running {
		return nil, err
	}
	list, err := s.openings(ctx)
	if err != nil {
		return nil, err
	}
	var items []setup.Item
	f := s.newFirewalld()
	for _, o := range list {
		found, err := f.pick(ctx, o, true, true)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			items = append(items, setup.Item{Object: o.object(), Action: setup.Drop, Detail: o.detail(), Do: func(ctx context.Context, _ setup.Progress) error {
				return s.newFirewalld().close(ctx, o)
			}})
		}
	}
	return items, nil
}
