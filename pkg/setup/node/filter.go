package node

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/edit"
)

const (
	lvmLocal   = "/etc/lvm/lvmlocal.conf"
	filterRule = `r|^/dev/drbd.*|`
	filterName = "LVM filter"
)

// filterBlock is what setup writes to lvmlocal.conf.
const filterBlock = "devices {\n" +
	"\t# LVM on the replicated volume would hold it open when it has to move.\n" +
	"\tglobal_filter = [ \"" + filterRule + "\" ]\n" +
	"}\n"

// drbdNames are names under which LVM meets DRBD devices.
var drbdNames = []string{"/dev/drbd0", "/dev/drbd1000", "/dev/drbd/by-res/res0/0", "/dev/drbd/by-disk/drbdpool/res0"}

// lookFilter keeps LVM away from DRBD devices: it would open them when they
// become Primary, and keep them open when they have to become Secondary.
func (s *Stage) lookFilter(ctx context.Context) ([]setup.Item, error) {
	if s.node.Diskless || !s.has("lvmconfig") {
		return nil, nil
	}
	only, err := s.lvmSetting(ctx, "devices/use_devicesfile")
	if err != nil {
		return nil, err
	}
	if _, err := s.m.Stat("/etc/lvm/devices/system.devices"); err == nil && only == "1" {
		return []setup.Item{keep(filterName, "LVM uses the devices of its devices file only")}, nil
	}
	rules, err := s.filter(ctx)
	switch {
	case err != nil:
		return nil, err
	case rejects(rules, drbdNames):
		return []setup.Item{keep(filterName, "global_filter rejects /dev/drbd*")}, nil
	case acceptsAll(rules):
		return []setup.Item{{
			Object: filterName, Action: setup.Make, Detail: "global_filter that rejects /dev/drbd*, in " + lvmLocal,
			Why: "LVM would hold the volume open", Do: s.makeFilter,
		}}, nil
	}
	return []setup.Item{warn(filterName, "global_filter is "+strings.Join(rules, ", ")+"; it does not reject /dev/drbd*",
		fmt.Sprintf("add %q as the first element of global_filter in /etc/lvm/lvm.conf", filterRule))}, nil
}

// lvmSetting returns the value of a setting that is in force, "" where this
// version of LVM does not know it.
func (s *Stage) lvmSetting(ctx context.Context, name string) (string, error) {
	out, err := s.run(ctx, "setup.host.lvmconfig", "lvmconfig", "--typeconfig", "full", name)
	if code, ok := exitCode(err); ok && code == 5 {
		return "", nil
	}
	_, value, _ := strings.Cut(strings.TrimSpace(out), "=")
	return value, err
}

func (s *Stage) filter(ctx context.Context) ([]string, error) {
	v, err := s.lvmSetting(ctx, "devices/global_filter")
	if err != nil {
		return nil, err
	}
	var rules []string
	for _, m := range quoted.FindAllStringSubmatch(v, -1) {
		rules = append(rules, strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(m[1]))
	}
	return rules, nil
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// acceptsAll is LVM's default.
func acceptsAll(rules []string) bool {
	return len(rules) == 0 || len(rules) == 1 && (rules[0] == "a|.*|" || rules[0] == "a/.*/")
}

// rejects reports whether the first rule that matches each name rejects it. A
// rule that is not understood counts as one that accepts.
func rejects(rules, names []string) bool {
	for _, name := range names {
		if !rejectsName(rules, name) {
			return false
		}
	}
	return true
}

func rejectsName(rules []string, name string) bool {
	for _, r := range rules {
		if len(r) < 3 {
			return false
		}
		last := strings.LastIndexByte(r, closing(r[1]))
		if last < 2 {
			return false
		}
		re, err := regexp.Compile(r[2:last])
		if err != nil {
			return false
		}
		if re.MatchString(name) {
			return r[0] == 'r'
		}
	}
	return false
}

// closing is the character that ends a pattern.
func closing(open byte) byte {
	if i := strings.IndexByte("([{", open); i >= 0 {
		return ")]}"[i]
	}
	return open
}

func (s *Stage) makeFilter(ctx context.Context, _ setup.Progress) error {
	err := s.rewrite(ctx, "setup.host.filter", lvmLocal, func(text string) (string, error) { return edit.SetBlock(text, filterBlock) })
	if err != nil {
		return err
	}
	rules, err := s.filter(ctx)
	if err == nil && !rejects(rules, drbdNames) {
		err = errors.New("LVM does not use the global_filter of " + lvmLocal + ": look for another one with lvmconfig devices")
	}
	return err
}

func (s *Stage) removeFilter(context.Context) ([]setup.Item, error) {
	return s.unmark(lvmLocal, "setup.host.filter.remove", edit.RemoveBlock, nil)
}

const (
	multipathFile = "/etc/multipath/conf.d/drbdnfs.conf"
	multipathBody = "blacklist {\n\tdevnode \"^drbd[0-9]\"\n}\n"
)

// lookMultipath keeps multipathd away from DRBD devices, where it is installed.
func (s *Stage) lookMultipath(context.Context) ([]setup.Item, error) {
	if s.node.Diskless || !s.has("multipath") {
		return nil, nil
	}
	it, err := s.file(ownFile{
		path: multipathFile, body: multipathBody, op: "setup.host.multipath", detail: "multipath leaves DRBD devices alone", after: s.reloadMultipath,
	})
	return []setup.Item{it}, err
}

func (s *Stage) reloadMultipath(ctx context.Context) error {
	u, err := s.unit(ctx, "multipathd.service")
	if err != nil || !u.active() {
		return err
	}
	return s.change(ctx, "setup.host.multipath.reload", "systemctl", "reload", "multipathd.service")
}

func (s *Stage) removeMultipath(context.Context) ([]setup.Item, error) {
	return s.dropFile(multipathFile, "setup.host.multipath.remove", s.reloadMultipath)
}
