package drbdadm_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/drbdadm"
)

const (
	resFile = "/etc/drbd.d/res0.res"
	trial   = "/run/drbdnfs/setup-res0.res"
	device  = "/dev/drbdpool/res0"
)

// conf is a configuration of two nodes for a volume of 1 GiB.
func conf() *config.Config {
	c := &config.Config{
		Nodes:      []config.Node{{Name: "drbdtest1", Address: "192.168.2.61"}, {Name: "drbdtest2", Address: "192.168.2.62"}},
		Storage:    config.Storage{Manager: config.ManagerDRBDADM, VolumeGroup: "drbdpool", Driver: config.DriverLVM},
		Resource:   config.Resource{Name: "res0", Size: 1 << 30, Minor: 1000, Port: 7000, Source: "drbdtest1", DRBD: option.Defaults()},
		Filesystem: config.Filesystem{Type: "xfs", Mount: "/home/nfs"},
		Fencing:    config.Fencing{Mode: config.FencingSTONITH},
	}
	c.Resource.DRBD["quorum"] = "off"
	return c
}

// world is a node with LVM and DRBD whose programs share this state.
type world struct {
	*hosttest.Host
	old bool // DRBD 8.4

	group bool   // the volume group exists
	free  int64  // bytes in it
	pool  bool   // a thin pool "thin" exists
	size  int64  // of the logical volume, 0 when there is none
	tags  string // of it
	stale string // signature that the blocks of a new volume hold

	meta    string // "v08", "v09" or "" for none
	content string // file system on the volume
	gi      string // current UUID

	up             bool
	role           string
	disk           string
	connection     string // "" is missing
	peer           string // disk of the peer
	busy           int    // that many demotions find the device open
	refuseCheck    bool   // drbdadm does not take the file
	forced         int
	peerJoinsAfter int // looks after which the peer connects
}

// newWorld is a node on which stage host is done and this one is not.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		Host: hosttest.New(t), group: true, free: 4 << 30, role: "Secondary",
		connection: "Connected", peer: "Inconsistent", disk: "Inconsistent",
	}
	w.Delete("/etc/drbd.d")
	w.SetUp() // /proc/drbd is there; what is up is this world's own
	for name, f := range map[string]func(host.Cmd) (string, error){
		"vgs": w.vgs, "lvs": w.lvs, "lvcreate": w.lvcreate, "wipefs": w.wipefs, "lvchange": w.lvchange,
		"blockdev": func(host.Cmd) (string, error) { return "", nil }, "blkid": w.blkid,
		"drbdadm": w.drbdadm, "drbdsetup": w.drbdsetup,
	} {
		w.Tool(name, f)
	}
	return w
}

func (w *world) vgs(host.Cmd) (string, error) {
	if !w.group {
		return `{"report":[{"vg":[]}]}`, nil
	}
	return fmt.Sprintf(`{"report":[{"vg":[{"vg_name":"drbdpool","vg_free":"%d"}]}]}`, w.free), nil
}

func (w *world) lvs(host.Cmd) (string, error) {
	var rows []string
	row := func(name string, size int64, tags, attr string) {
		rows = append(rows, fmt.Sprintf(`{"lv_name":%q,"lv_size":"%d","lv_tags":%q,"lv_attr":%q}`, name, size, tags, attr))
	}
	row("root", 1<<30, "", "-wi-ao----")
	if w.pool {
		row("thin", 8<<30, "", "twi-a-tz--")
	}
	if w.size > 0 {
		row("res0", w.size, w.tags, "-wi-a-----")
	}
	return `{"report":[{"lv":[` + strings.Join(rows, ",") + `]}],"log":[]}`, nil
}

func (w *world) lvcreate(c host.Cmd) (string, error) {
	if w.size > 0 {
		return "", hosttest.Exit(c, 5, `  Logical Volume "res0" already exists in volume group "drbdpool"`)
	}
	var tags []string
	for i, a := range c.Args {
		switch a {
		case "--addtag":
			tags = append(tags, c.Args[i+1])
		case "--size", "--virtualsize":
			w.size, _ = strconv.ParseInt(strings.TrimSuffix(c.Args[i+1], "b"), 10, 64)
		}
	}
	w.tags, w.content = strings.Join(tags, ","), w.stale
	return "", nil
}

func (w *world) wipefs(host.Cmd) (string, error) {
	w.content, w.meta = "", ""
	return "", nil
}

func (w *world) lvchange(host.Cmd) (string, error) {
	w.tags = "drbdnfs"
	return "", nil
}

func (w *world) blkid(c host.Cmd) (string, error) {
	switch inside := strings.Contains(strings.Join(c.Args, " "), "-u noraid"); {
	case w.size == 0:
		return "", hosttest.Exit(c, 2, "blkid: error: "+device+": No such file or directory")
	case w.meta != "" && !inside:
		return "VERSION=" + w.meta + "\nTYPE=drbd\nUSAGE=raid\n", nil
	case w.content != "":
		return "TYPE=" + w.content + "\n", nil
	}
	return "", hosttest.Exit(c, 2, "")
}

func (w *world) drbdadm(c host.Cmd) (string, error) {
	switch c.Args[0] {
	case "--config-file=" + trial:
		if w.refuseCheck {
			return "", hosttest.Exit(c, 10, trial+":2: Parse error: 'an option keyword' expected")
		}
	case "dump-md":
		if w.up {
			return "", hosttest.Exit(c, 20, "Device '1000' is configured!")
		}
		if w.meta == "" {
			return "", hosttest.Exit(c, 1, "No valid meta data found")
		}
	case "create-md":
		if w.meta != "" || w.content != "" {
			return "", hosttest.Exit(c, 1, "Operation cancelled.")
		}
		w.meta, w.gi = map[bool]string{true: "v08", false: "v09"}[w.old], "0000000000000004"
	case "get-gi":
		return w.gi + ":0000000000000000:0000000000000000:0000000000000000:0:0:0:0:1:0:0:0:0:0:0:0\n", nil
	case "up", "adjust":
		w.up = true
		if w.disk == "Diskless" && w.meta != "" {
			w.disk = "Inconsistent"
		}
		if w.connection == "" || w.connection == "StandAlone" {
			w.connection = "Connected"
		}
	case "primary":
		w.forced++
		w.role, w.disk, w.gi = "Primary", "UpToDate", "AF7C863BC4779AFD"
	case "down":
		w.up = false
	default:
		return "", hosttest.Exit(c, 99, "unexpected")
	}
	return "", nil
}

func (w *world) drbdsetup(c host.Cmd) (string, error) {
	switch c.Args[0] {
	case "secondary":
		if w.busy > 0 {
			w.busy--
			return "", hosttest.Exit(c, 11, "res0: State change failed: (-12) Device is held open by someone")
		}
		w.role = "Secondary"
		return "", nil
	case "events2":
		if !w.up {
			return "exists -\n", nil
		}
		if w.peerJoinsAfter > 0 {
			if w.peerJoinsAfter--; w.peerJoinsAfter == 0 {
				w.connection = "Connected"
			}
		}
		return w.dump(), nil
	}
	return "", hosttest.Exit(c, 99, "unexpected")
}

func (w *world) dump() string {
	name, score := "drbdtest2", " promotion_score:1"
	if w.old {
		name, score = "peer", ""
	}
	out := "exists resource name:res0 role:" + w.role + " suspended:no" + score + "\n"
	peer := "name:res0 peer-node-id:1 conn-name:" + name
	if w.connection != "" {
		out += "exists connection " + peer + " connection:" + w.connection + " role:Secondary\n"
	}
	out += "exists device name:res0 volume:0 minor:1000 disk:" + w.disk + " size:1048576\n"
	if w.connection != "" {
		replication, disk := "Established", w.peer
		if w.connection != "Connected" {
			replication, disk = "Off", "DUnknown"
		}
		out += "exists peer-device " + peer + " volume:0 replication:" + replication + " peer-disk:" + disk + "\n"
	}
	return out + "exists -\n"
}

// stage is the stage on a node of the configuration.
func (w *world) stage(c *config.Config, self string) *drbdadm.Stage {
	w.DRBD.Kernel84 = w.old
	return drbdadm.New(drbdadm.Options{Machine: w.Host, Config: c, Self: self, Log: slog.New(slog.DiscardHandler)})
}

// silent shows nothing but what is waited for.
type silent struct{ waited []string }

// Waiting records the text.
func (s *silent) Waiting(what string) { s.waited = append(s.waited, what) }

// Fraction is not used by this stage.
func (*silent) Fraction(float64, string) {}

// Stage, Begin and End make silent the reporter of setup.Apply.
func (*silent) Stage(string)                         {}
func (s *silent) Begin(setup.Item) setup.Progress    { return s }
func (*silent) End(setup.Item, time.Duration, error) {}

// apply runs the stage to its end.
func (w *world) apply(ctx context.Context, s setup.Stage) (int, error) {
	return setup.Apply(ctx, []setup.Stage{s}, &silent{})
}

// plan is the stage's items as lines.
func plan(t *testing.T, items []setup.Item, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, it := range items {
		lines = append(lines, string(it.Action)+" "+it.Object+": "+it.Detail)
		if (it.Do == nil) == (it.Action == setup.Make || it.Action == setup.Change || it.Action == setup.Await || it.Action == setup.Drop) {
			t.Errorf("%s %s: Do does not fit the action", it.Action, it.Object)
		}
	}
	return lines
}

// changes are the commands that ran and do more than look.
func (w *world) changes() []string {
	var out []string
	for _, c := range w.Commands() {
		switch word, rest, _ := strings.Cut(c, " "); {
		case word == "vgs", word == "lvs", word == "blkid", word == "blockdev", word == "modinfo",
			strings.HasPrefix(rest, "events2"), strings.HasPrefix(rest, "get-gi"), strings.HasPrefix(rest, "dump-md"):
		default:
			out = append(out, c)
		}
	}
	return out
}
