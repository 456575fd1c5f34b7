package node_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/node"
)

// fileText is the configuration of the tests; mutations replace parts of it.
const fileText = `cluster = "nfs_cluster"
[[node]]
name = "drbdtest1"
address = "192.168.2.61"
device = "/dev/vda3"
[[node]]
name = "drbdtest2"
address = "192.168.2.62"
device = "/dev/vda3"
[host]
hosts_file = true
firewall = "firewalld"
client_networks = ["192.168.2.0/24"]
[storage]
manager = "linstor"
controller = "drbdtest1"
volume_group = "drbdpool"
[resource]
size = "6T"
[filesystem]
mount = "/home/nfs"
[[export]]
path = "/home/nfs/user-data"
clients = ["192.168.2.0/24"]
[[vip]]
address = "192.168.2.63/24"
interface = "ens3"
[fencing]
mode = "none"
accept_split_brain = true
`

// group and volume are what LVM keeps.
type group struct {
	size, used int64
	tags       string
	lvs        []volume
}

type volume struct {
	name, kind string
	size       int64
}

// unit is what systemd keeps of a unit.
type unit struct{ load, active, file string }

// world is a freshly installed node with its tools. Its fields are the state of
// what the tools work on.
type world struct {
	taking bool // the place of hand-made resources
	*hosttest.Host
	text   string            // of the configuration
	groups map[string]*group // volume groups
	pvs    map[string]string // volume group by device
	size   int64             // of /dev/vda3
	lsblk  string            // more fields of the device, as JSON
	probe  string            // what blkid finds, "" for nothing
	units  map[string]*unit
	dns    map[string][]string // what getent says beside /etc/hosts
	lossy  bool                // packets of full size are lost
	module string              // version of DRBD's module, "" for none

	services  string // that the running firewalld knows
	firewalld bool
	rules     map[string]bool // "permanent zone rule"
}

const tib = int64(1) << 40

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		Host: hosttest.New(t), text: fileText, groups: map[string]*group{}, pvs: map[string]string{}, size: 7 * tib,
		units: map[string]*unit{
			"nfs-server.service": {"loaded", "inactive", "enabled"}, "drbd.service": {"loaded", "inactive", "enabled"},
			"drbdnfsd.service":          {"loaded", "inactive", "disabled"},
			"linstor-satellite.service": {"loaded", "inactive", "disabled"}, "linstor-controller.service": {"loaded", "inactive", "disabled"},
		},
		dns:    map[string][]string{"drbdtest1": {"192.168.2.61"}, "192.168.2.61": {"drbdtest1"}},
		module: "9.1.23", services: "ssh drbdnfs-nfs drbdnfs-cluster", firewalld: true, rules: map[string]bool{},
	}
	for _, p := range []string{"corosync", "pacemakerd", "cibadmin", "crm_mon", "mkfs.xfs", "restorecon", "multipath"} {
		w.Programs[p] = true
	}
	w.Modules["drbd_transport_tcp"] = false
	for path, text := range map[string]string{
		"/proc/self/status":       "Name:\tdrbdnfs\nUid:\t0\t0\t0\t0\n",
		"/proc/swaps":             "Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n",
		"/etc/os-release":         "ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.10\"\nPRETTY_NAME=\"AlmaLinux 8.10\"\n",
		"/sys/class/net/ens3/mtu": "1500\n",
		"/etc/hosts":              "127.0.0.1 localhost\n",
		"/etc/nfs.conf":           "[general]\n# pipefs-directory=/var/lib/nfs/rpc_pipefs\n",
		"/usr/lib/firewalld/services/drbdnfs-nfs.xml": "", "/usr/lib/firewalld/services/drbdnfs-cluster.xml": "",
		"/etc/lvm/lvmlocal.conf": "local {\n}\n",
	} {
		w.SetFile(path, text)
	}
	w.SetFile("/dev/vda3", "")
	w.SetDir("/sys/class/block/vda3/holders", 0, 0)
	w.tools()
	return w
}

func (w *world) tools() {
	for name, f := range map[string]func(host.Cmd) (string, error){
		"vgs": w.vgs, "pvs": w.listPVs, "lvs": w.lvs, "pvcreate": w.pvcreate, "vgcreate": w.vgcreate, "vgremove": w.vgremove,
		"lvcreate": w.lvcreate, "lvmconfig": w.lvmconfig, "lsblk": w.runLsblk, "blkid": w.blkid, "systemctl": w.systemctl,
		"getent": w.getent, "ping": w.ping, "modinfo": w.modinfo, "firewall-cmd": w.firewall, "restorecon": func(host.Cmd) (string, error) { return "", nil },
		"timedatectl": func(host.Cmd) (string, error) { return "NTPSynchronized=yes\n", nil },
	} {
		w.Tool(name, f)
	}
}

func (w *world) runLsblk(host.Cmd) (string, error) {
	more := w.lsblk
	if _, ok := w.pvs["/dev/vda3"]; ok && more == "" {
		more = `, "fstype": "LVM2_member"`
	}
	return fmt.Sprintf(`{"blockdevices": [{"name": "/dev/vda3", "type": "part", "size": "%d"%s}]}`, w.size, more), nil
}

func (w *world) blkid(c host.Cmd) (string, error) {
	switch _, pv := w.pvs["/dev/vda3"]; {
	case w.probe == "ambivalent":
		return "", hosttest.Exit(c, 8, "")
	case w.probe != "":
		return w.probe, nil
	case pv:
		return "TYPE=LVM2_member\nUSAGE=raid\n", nil
	}
	return "", hosttest.Exit(c, 2, "")
}

func (w *world) systemctl(c host.Cmd) (string, error) {
	name := c.Args[len(c.Args)-1]
	u := w.units[name]
	now := slices.Contains(c.Args, "--now")
	switch c.Args[0] {
	case "daemon-reload", "reload":
		return "", nil
	case "show":
		if u == nil {
			u = &unit{"not-found", "inactive", ""}
		}
		return fmt.Sprintf("LoadState=%s\nActiveState=%s\nUnitFileState=%s\n", u.load, u.active, u.file), nil
	case "enable":
		u.file = "enabled"
		if now {
			u.active = "active"
		}
	case "disable":
		u.file = "disabled"
		if now {
			u.active = "inactive"
		}
	default:
		return "", hosttest.Exit(c, 1, "Unknown command verb")
	}
	return "", nil
}

func (w *world) getent(c host.Cmd) (string, error) {
	base, key := c.Args[0], c.Args[1]
	found := slices.Clone(w.dns[key])
	text, _ := w.File("/etc/hosts")
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "#" {
			continue
		}
		if base == "ahosts" && slices.Contains(f[1:], key) {
			found = append(found, f[0])
		}
		if base == "hosts" && f[0] == key {
			found = append(found, f[1:]...)
		}
	}
	if len(found) == 0 {
		return "", hosttest.Exit(c, 2, "")
	}
	if base == "hosts" {
		return key + " " + strings.Join(found, " ") + "\n", nil
	}
	return strings.Join(found, " STREAM\n") + " STREAM\n", nil
}

func (w *world) ping(c host.Cmd) (string, error) {
	if w.lossy && slices.Contains(c.Args, "1472") {
		return "", hosttest.Exit(c, 1, "")
	}
	return "", nil
}

func (w *world) modinfo(c host.Cmd) (string, error) {
	if w.module == "" {
		return "", hosttest.Exit(c, 1, "modinfo: ERROR: Module drbd not found.")
	}
	return w.module + "\n", nil
}

func (w *world) firewall(c host.Cmd) (string, error) {
	where, zone := "runtime", ""
	for _, a := range c.Args {
		option, value, _ := strings.Cut(a, "=")
		verb, kind, _ := strings.Cut(strings.TrimPrefix(option, "--"), "-")
		rule := strings.Join([]string{where, zone, kind + "=" + value}, " ")
		switch {
		case a == "--state":
			if !w.firewalld {
				return "", hosttest.Exit(c, 252, "not running")
			}
			return "running\n", nil
		case a == "--get-services":
			return w.services + "\n", nil
		case option == "--get-zone-of-interface":
			return "", hosttest.Exit(c, 2, "no zone")
		case a == "--get-default-zone":
			return "public\n", nil
		case a == "--permanent":
			where = "permanent"
		case option == "--zone":
			zone = value
		case a == "--list-all":
			return w.zone(where + " " + zone + " "), nil
		case verb == "add":
			if kind == "service" && where == "runtime" && !slices.Contains(strings.Fields(w.services), value) {
				return "", hosttest.Exit(c, 101, "INVALID_SERVICE")
			}
			w.rules[rule] = true
		case verb == "remove":
			delete(w.rules, rule)
		default:
			return "", hosttest.Exit(c, 2, "unrecognized arguments: "+a)
		}
	}
	return "success\n", nil
}

func (w *world) zone(prefix string) string {
	list := map[string][]string{}
	for r := range w.rules {
		if rest, ok := strings.CutPrefix(r, prefix); ok {
			kind, value, _ := strings.Cut(rest, "=")
			list[kind] = append(list[kind], value)
		}
	}
	return fmt.Sprintf("public (active)\n  target: default\n  services: %s\n  ports: %s\n  rich rules: \n\t%s\n",
		strings.Join(list["service"], " "), strings.Join(list["port"], " "), strings.Join(list["rich-rule"], "\n\t"))
}

// replace changes the text of the configuration.
func (w *world) replace(old, text string) {
	if !strings.Contains(w.text, old) {
		panic(old)
	}
	w.text = strings.Replace(w.text, old, text, 1)
}

func (w *world) stage(t *testing.T) *node.Stage {
	t.Helper()
	cfg, err := config.Parse("drbdnfs.toml", []byte(w.text))
	if err != nil {
		t.Fatal(err)
	}
	return node.New(node.Options{Machine: w, Config: cfg, Self: "drbdtest1", Replace: w.taking})
}

func (w *world) look(t *testing.T) []setup.Item {
	t.Helper()
	items, err := w.stage(t).Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// apply does what the plan says, as package setup does.
func (w *world) apply(ctx context.Context, t *testing.T) error {
	t.Helper()
	s := w.stage(t)
	for range 8 {
		items, err := s.Look(ctx)
		if err != nil {
			return err
		}
		done := 0
		for _, it := range items {
			if it.Action == setup.Refuse {
				return fmt.Errorf("refused: %s: %s", it.Object, it.Detail)
			}
			if it.Do != nil {
				if err := it.Do(ctx, nil); err != nil {
					return fmt.Errorf("%s: %w", it.Object, err)
				}
				done++
			}
		}
		if done == 0 {
			return nil
		}
	}
	return errors.New("there is always something left to do")
}

// remove takes back what setup made, and counts it.
func (w *world) remove(ctx context.Context, t *testing.T) (int, error) {
	t.Helper()
	items, err := w.stage(t).LookRemove(ctx)
	if err != nil {
		return 0, err
	}
	done := 0
	for _, it := range items {
		if it.Do == nil {
			continue
		}
		if it.Action != setup.Drop {
			t.Errorf("%s %s", it.Action, it.Object)
		}
		if err := it.Do(ctx, nil); err != nil {
			return done, fmt.Errorf("%s: %w", it.Object, err)
		}
		done++
	}
	return done, nil
}

// changes are the commands that change something.
func (w *world) changes() []string {
	var out []string
	look := regexp.MustCompile(`^(vgs|pvs|lvs|lvmconfig|lsblk|blkid|getent|ping|modinfo|timedatectl) |^systemctl show|--list-all|--get-|--state`)
	for _, c := range w.Commands() {
		if !look.MatchString(c) {
			out = append(out, c)
		}
	}
	return out
}

func render(items []setup.Item) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%-6s %s", it.Action, it.Object)
		if it.Detail != "" {
			fmt.Fprintf(&b, ": %s", it.Detail)
		}
		if it.Key != "" {
			fmt.Fprintf(&b, " (%s)", it.Key)
		}
		if it.Why != "" {
			fmt.Fprintf(&b, "\n         %s", it.Why)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// lie makes a tool do nothing and report success, except with the arguments in
// honest.
func (w *world) lie(tool string, honest []string) {
	honestly := map[string]func(host.Cmd) (string, error){"firewall-cmd": w.firewall, "systemctl": w.systemctl}[tool]
	w.Tool(tool, func(c host.Cmd) (string, error) {
		for _, h := range honest {
			if strings.HasPrefix(strings.Join(c.Args, " "), h) {
				return honestly(c)
			}
		}
		return "", nil
	})
}
