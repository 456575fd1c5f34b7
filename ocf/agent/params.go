package agent

import (
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// Config is what the parameters say: the group, and how the agent itself
// behaves.
type Config struct {
	Group          group.Config
	ReportDegraded bool
	LogLevel       slog.Level
}

// Limits of the lease and grace times. Below ten seconds a busy network loses
// leases, and with them locks.
const (
	minLease = 10 * time.Second
	maxLease = time.Hour
)

// maxThreads is a guard against typing errors, not a limit of the kernel.
const maxThreads = 4096

// alnum reports whether s consists of ASCII letters, digits and the characters
// of extra. It stands in for regular expressions, whose compilation would be a
// third of the agent's start-up time.
func alnum(s, extra string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case !strings.ContainsRune(extra, r):
			return false
		}
	}
	return true
}

func isResource(s string) bool { return alnum(s, "_.-") && s[0] != '-' }
func isScope(s string) bool    { return alnum(s, "_.:-") && len(s) <= 64 }
func isFSType(s string) bool   { return alnum(s, "_") }
func isOptions(s string) bool  { return alnum(s, "_=,.:-/") }

// ParseParams reads the parameters of instance, fills in defaults and checks
// what can be checked without looking at a machine. Each error names the
// parameter, its value and what to write instead.
func ParseParams(instance string, params map[string]string) (Config, error) {
	p := parser{params: params}
	c := Config{Group: group.Config{
		Instance:     instance,
		Resource:     p.match("drbd_resource", isResource, "the name of a DRBD resource"),
		Device:       p.path("device"),
		Dir:          p.path("directory"),
		FSType:       p.match("fstype", isFSType, "a file system type such as xfs"),
		MountOptions: p.match("mount_options", isOptions, "mount options separated by commas"),
		DRBDDown:     group.DownMode(p.oneOf("drbd_down", "auto", "yes", "no")),
	}}
	p.required("drbd_resource", "directory", "exports", "vips")
	if p.err != nil {
		return c, p.err
	}
	g := &c.Group
	if strings.EqualFold(g.Resource, "all") {
		return c, fmt.Errorf("drbd_resource: %q names every resource to drbdadm; rename it", g.Resource)
	}
	g.StateDir = p.stateDir(g.Dir)
	g.Exports = p.exports(g)
	g.Server = p.server(g.Resource)
	g.VIPs = p.vips()
	c.ReportDegraded = p.boolean("report_degraded")
	c.LogLevel = p.level("log_level")
	return c, p.err
}

// parser keeps the first error, so that ParseParams reads as a list.
type parser struct {
	params map[string]string
	err    error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// value is the parameter without surrounding space, or its default.
func (p *parser) value(name string) string {
	if v := strings.TrimSpace(p.params[name]); v != "" {
		return v
	}
	return defaults[name]
}

func (p *parser) required(names ...string) {
	for _, n := range names {
		if p.value(n) == "" {
			p.fail("%s is not set: it is required", n)
		}
	}
}

func (p *parser) match(name string, valid func(string) bool, want string) string {
	v := p.value(name)
	if v != "" && !valid(v) {
		p.fail("%s: %q is not %s", name, v, want)
	}
	return v
}

func (p *parser) path(name string) string {
	v := p.value(name)
	switch {
	case v == "":
		return ""
	case !path.IsAbs(v):
		p.fail("%s: %q is not an absolute path", name, v)
	case path.Clean(v) == "/":
		p.fail("%s: %q is the root directory", name, v)
	}
	return path.Clean(v)
}

func (p *parser) oneOf(name string, words ...string) string {
	v := p.value(name)
	if slices.Contains(words, v) {
		return v
	}
	p.fail("%s: %q is not one of %s", name, v, strings.Join(words, ", "))
	return v
}

func (p *parser) stateDir(dir string) string {
	if strings.TrimSpace(p.params["nfs_state_dir"]) == "" {
		return path.Join(dir, "var/lib/nfs")
	}
	v := p.path("nfs_state_dir")
	if !strings.HasPrefix(v, dir+"/") {
		p.fail("nfs_state_dir: %q is not below directory %s, so it would not move with it", v, dir)
	}
	return v
}

// exports checks also that what is offered is on the volume, and that the NFS
// state is not offered: a client could take everybody's locks.
func (p *parser) exports(g *group.Config) []nfs.Export {
	exports, err := nfs.ParseExports(p.value("exports"), g.Resource)
	if err != nil {
		p.fail("%w", err)
	}
	for _, e := range exports {
		if e.Path != g.Dir && !strings.HasPrefix(e.Path, g.Dir+"/") {
			p.fail("exports: %s is not below directory %s, so it would not move with it", e.Path, g.Dir)
		}
		if e.Path == g.StateDir || strings.HasPrefix(e.Path, g.StateDir+"/") || strings.HasPrefix(g.StateDir, e.Path+"/") {
			p.fail("exports: export a directory beside nfs_state_dir %s, not %s: clients must not reach it", g.StateDir, e.Path)
		}
	}
	return exports
}

func (p *parser) server(resource string) nfs.ServerConfig {
	c := nfs.ServerConfig{
		Threads: p.integer("nfs_threads", 1, maxThreads),
		Lease:   p.duration("lease_time"),
		Grace:   p.duration("grace_time"),
		Scope:   p.match("server_scope", isScope, "a name of at most 64 letters, digits, or . _ : -"),
	}
	if c.Scope == "" {
		c.Scope = resource
	}
	var err error
	if c.Versions, err = nfs.ParseVersions(p.value("nfs_versions")); err != nil {
		p.fail("%w", err)
	}
	if c.Ports, err = nfs.ParsePorts(p.value("ports")); err != nil {
		p.fail("%w", err)
	}
	if c.Grace < c.Lease {
		p.fail("grace_time %v is shorter than lease_time %v: clients could not reclaim in time", c.Grace, c.Lease)
	}
	return c
}

func (p *parser) vips() []vip.VIP {
	vips, err := vip.Parse(p.value("vips"))
	if err != nil {
		p.fail("%w", err)
	}
	return vips
}

func (p *parser) integer(name string, low, high int) int {
	v := p.value(name)
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		p.fail("%s: %q is not a number from %d to %d", name, v, low, high)
	}
	return n
}

func (p *parser) duration(name string) time.Duration {
	d, err := ocf.ParseDuration(p.value(name))
	if err != nil {
		p.fail("%s: %w", name, err)
		return 0
	}
	if d < minLease || d > maxLease || d%time.Second != 0 {
		p.fail("%s: %q is not a whole number of seconds from %v to %v", name, p.value(name), minLease, maxLease)
	}
	return d
}

func (p *parser) boolean(name string) bool {
	b, err := ocf.ParseBool(p.value(name))
	if err != nil {
		p.fail("%s: %w", name, err)
	}
	return b
}

func (p *parser) level(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(p.value(name))); err != nil {
		p.fail("%s: %q is not one of debug, info, warn, error", name, p.value(name))
	}
	return l
}
