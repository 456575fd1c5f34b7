package bundle

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
)

// kind says how a file is bounded and freed of secrets.
type kind int

const (
	text    kind = iota // cut at its end
	logText             // cut at its front
	cibXML              // never cut: it is left out where it is too large
	journal             // export format; whole entries are left out at the front
)

const procDRBD = "/proc/drbd"

// Limits of one file, in bytes.
const (
	textLimit    = 1 << 20
	logLimit     = 8 << 20
	cibLimit     = 4 << 20
	historyFiles = 10 // of the CIB
	inputFiles   = 5  // of the scheduler
)

// source is where one file of the bundle comes from.
type source struct {
	name string // in the bundle
	kind kind
	// One of these.
	argv  []string
	file  string
	fetch Fetch

	bzip2 bool // the file is compressed
}

func (s source) limit() int64 {
	switch s.kind {
	case logText, journal:
		return logLimit
	case cibXML:
		return cibLimit
	default:
		return textLimit
	}
}

// what names the source for the manifest.
func (s source) what() string {
	switch {
	case s.argv != nil:
		return strings.Join(s.argv, " ")
	case s.file != "":
		return s.file
	}
	return "drbdnfsd's metrics"
}

func run(name string, k kind, command string, args ...string) source {
	return source{name: name, kind: k, argv: append([]string{command}, args...)}
}

// sources lists what is collected, the most useful first: when the whole becomes
// too large, what comes last is cut.
func (c *collector) sources() []source {
	list := []source{
		{name: "etc/drbdnfs.toml", file: c.configFile()},
		run("cluster/crm_mon.xml", text, "crm_mon", "--one-shot", "--output-as=xml", "--inactive", "--group-by-node"),
		run("cluster/cib.xml", cibXML, "cibadmin", "--query"),
		run("drbd/dump.txt", text, "drbdadm", "dump", "all"),
		{name: "drbd/proc_drbd.txt", file: procDRBD},
	}
	// drbdsetup would load the module, and nothing is changed here.
	if _, err := c.o.Machine.ReadFile(procDRBD); err == nil {
		list = append(
			list,
			run("drbd/status.txt", text, "drbdsetup", "status", "--verbose", "--statistics"),
			run("drbd/events2.txt", text, "drbdsetup", "events2", "--now", "--statistics"),
			run("drbd/show.txt", text, "drbdsetup", "show"),
			run("drbd/show-gi.txt", text, "drbdadm", "show-gi", "all"),
		)
	}
	list = append(list, c.journals()...)
	list = append(list, c.files()...)
	list = append(list, commands()...)
	return append(list, c.history()...)
}

// journals are the records since the beginning. Seconds since the epoch mean the
// same in every time zone.
func (c *collector) journals() []source {
	since := "--since=@" + strconv.FormatInt(c.o.Since.Unix(), 10)
	read := func(name string, matches ...string) source {
		args := append([]string{"--no-pager", "--quiet", "--output=export", since}, matches...)
		return run("journal/"+name+".export", journal, "journalctl", args...)
	}
	units := func(names ...string) []string {
		var out []string
		for _, n := range names {
			out = append(out, "--unit="+n)
		}
		return out
	}
	return []source{
		read("drbdnfs", "--identifier=drbdnfs", "--identifier=drbdnfsd", "--identifier=drbdnfs-handler"),
		read("cluster", units("pacemaker", "corosync", "corosync-qdevice", "sbd", "pcsd", "booth*")...),
		read("kernel", "_TRANSPORT=kernel"),
		read("nfs", units("drbdnfs-*", "nfs-server", "nfs-mountd", "nfs-idmapd", "nfsdcld", "rpc-statd", "rpcbind")...),
		read("linstor", units("linstor-controller", "linstor-satellite", "drbd*")...),
		run("journal/pacemaker.log", logText, "tail", "--bytes="+strconv.Itoa(logLimit), "/var/log/pacemaker/pacemaker.log"),
		run("journal/corosync.log", logText, "tail", "--bytes="+strconv.Itoa(logLimit), "/var/log/cluster/corosync.log"),
	}
}

func (c *collector) configFile() string {
	if c.o.ConfigFile != "" {
		return c.o.ConfigFile
	}
	return config.DefaultFile
}

// files are read as they are. The secret file, corosync's authkey and pcs's tokens
// are not among them, and must never be.
func (c *collector) files() []source {
	var list []source
	for _, f := range []string{
		"/etc/corosync/corosync.conf", "/etc/drbd.conf", "/etc/drbd.d/global_common.conf", "/etc/nfs.conf", "/etc/lvm/lvm.conf", "/etc/hosts",
		"/etc/os-release", "/proc/mounts", "/proc/locks", "/proc/meminfo", "/proc/loadavg", "/proc/uptime", "/proc/cmdline", "/proc/modules",
		"/proc/fs/nfsd/threads", "/proc/fs/nfsd/versions", "/proc/fs/nfsd/exports", "/proc/fs/nfsd/pool_stats", "/proc/net/rpc/nfsd", "/var/lib/nfs/etab",
		"/var/lib/nfs/rmtab", "/var/lib/drbdnfs/primary.json",
	} {
		list = append(list, source{name: "files" + f, file: f})
	}
	for _, dir := range []string{"/etc/drbd.d", "/var/lib/linstor.d", "/var/lib/drbdnfs/split-brain", "/var/lib/drbdnfs/victim", "/var/lib/drbdnfs/events", "/run/drbdnfs"} {
		for _, name := range c.names(dir) {
			if f := path.Join(dir, name); !slices.ContainsFunc(list, func(s source) bool { return s.file == f }) {
				list = append(list, source{name: "files" + f, file: f})
			}
		}
	}
	names, _ := c.o.Machine.ReadDir("/proc/fs/nfsd/clients")
	for _, id := range names {
		for _, name := range []string{"info", "states"} {
			f := path.Join("/proc/fs/nfsd/clients", id, name)
			list = append(list, source{name: "files" + f, file: f})
		}
	}
	return list
}

// commands ask the machine. Each is of EL8 and of Debian 12, or of one of them: one
// that is not installed is noted.
func commands() []source {
	return []source{
		run("cluster/corosync-cfgtool.txt", text, "corosync-cfgtool", "-s"),
		run("cluster/corosync-quorumtool.txt", text, "corosync-quorumtool", "-s"),
		run("cluster/fence-history.txt", text, "stonith_admin", "--history", "*", "--verbose"),
		run("host/ip-addr.txt", text, "ip", "addr"),
		run("host/ip-route.txt", text, "ip", "route"),
		run("host/sockets.txt", text, "ss", "--all", "--numeric", "--tcp"),
		run("host/sockets-summary.txt", text, "ss", "--summary"),
		run("host/nft.txt", text, "nft", "list", "ruleset"),
		run("host/lvs.txt", text, "lvs", "--all", "--options", "+lv_tags,devices"),
		run("host/vgs.txt", text, "vgs"),
		run("host/pvs.txt", text, "pvs"),
		run("host/lsblk.txt", text, "lsblk"),
		run("host/df.txt", text, "df", "--local"),
		run("host/ps.txt", text, "ps", "-eo", "pid,ppid,stat,wchan:24,etime,comm"),
		run("host/clock.txt", text, "timedatectl"),
		run("host/chrony.txt", text, "chronyc", "-n", "tracking"),
		run("host/units.txt", text, "systemctl", "list-units", "--all", "--no-pager", "--plain"),
		run("host/failed-units.txt", text, "systemctl", "--failed", "--no-pager", "--plain"),
		run("host/boots.txt", text, "journalctl", "--list-boots", "--no-pager"),
		run("host/uname.txt", text, "uname", "-a"),
		run("host/rpm.txt", text, "rpm", "-qa", "--last"),
		run("host/dpkg.txt", text, "dpkg-query", "--show"),
		run("host/selinux-denials.txt", logText, "ausearch", "--message", "avc", "--start", "recent"),
	}
}

// history is what Pacemaker keeps of earlier configurations and of what the
// scheduler was asked, and the daemon's metrics.
func (c *collector) history() []source {
	var list []source
	if c.o.Metrics != nil {
		list = append(list, source{name: "host/metrics.txt", fetch: c.o.Metrics})
	}
	const cibs, inputs = "/var/lib/pacemaker/cib", "/var/lib/pacemaker/pengine"
	for _, name := range c.newest(cibs, historyFiles, func(n string) bool { return n == "cib.xml" || path.Ext(n) == ".raw" }) {
		list = append(list, source{name: "cluster/history/" + name + ".xml", kind: cibXML, file: path.Join(cibs, name)})
	}
	for _, name := range c.newest(inputs, inputFiles, func(n string) bool { return path.Ext(n) == ".bz2" }) {
		list = append(list, source{name: "cluster/pengine/" + strings.TrimSuffix(name, ".bz2") + ".xml", kind: cibXML, file: path.Join(inputs, name), bzip2: true})
	}
	return list
}

// names are the plain files in a directory that are worth reading.
func (c *collector) names(dir string) []string {
	names, err := c.o.Machine.ReadDir(dir)
	if err != nil {
		return nil
	}
	const most = 50
	names = slices.DeleteFunc(names, func(n string) bool {
		st, err := c.o.Machine.Lstat(path.Join(dir, n))
		return err != nil || !st.Mode().IsRegular() || strings.Contains(n, "secret")
	})
	return names[max(0, len(names)-most):]
}

// newest are the names of the most files that were written last, the newest first.
func (c *collector) newest(dir string, most int, want func(name string) bool) []string {
	written := map[string]time.Time{}
	var names []string
	all, _ := c.o.Machine.ReadDir(dir)
	for _, n := range all {
		st, err := c.o.Machine.Lstat(path.Join(dir, n))
		if want(n) && err == nil && st.Mode().IsRegular() {
			names, written[n] = append(names, n), st.ModTime()
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return written[b].Compare(written[a]) })
	return names[:min(most, len(names))]
}

// folder is the name of the one folder in the archive.
func folder(node string, at time.Time) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, node)
	return fmt.Sprintf("%s-%s", strings.TrimLeft(clean, "."), at.UTC().Format("20060102T150405Z"))
}
