package snapshot_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

const (
	mib   = 1 << 20
	gib   = 1 << 30
	thick = "/dev/drbdpool/res0_00000"
	thin  = "/dev/mapper/drbdpool-res1_00000"
)

// at is when everything in these tests was made.
var at = time.Date(2026, 11, 23, 14, 7, 45, 0, time.UTC)

// lv is a logical volume of the model.
type lv struct {
	group, name, origin, pool, tags string
	size                            int64
	made                            time.Time
	minor                           int
	inactive, open, invalid         bool
	plain                           bool // what LVM was cut off in: an ordinary volume
	data, meta                      string
	health                          string
}

// world is a machine with LVM whose programs share this state: a volume group
// with a thick volume of 1 GiB and a thin one in a pool.
type world struct {
	*hosttest.Host
	extent, free int64
	lvs          []*lv
	devices      map[string]int // minor numbers by path
	cut          bool           // lvcreate is killed together with its caller, half-way
	finishAfter  int            // looks after which what was cut off is finished after all; 0 is never
	lazy         bool           // lvcreate and lvremove are content and do nothing
	asleep       bool           // new snapshots are not active
	major        int            // of all volumes
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		Host: hosttest.New(t), extent: 4 * mib, free: 2 * gib, major: 253,
		devices: map[string]int{thick: 3, "/dev/dm-3": 3, thin: 7, "/dev/vda3": 99},
		lvs: []*lv{
			{group: "drbdpool", name: "res0_00000", tags: "drbdnfs", size: gib, minor: 3},
			{group: "drbdpool", name: "thin", size: 4 * gib, minor: 6, data: "40.50", meta: "12.00"},
			{group: "drbdpool", name: "res1_00000", pool: "thin", size: 2 * gib, minor: 7, data: "60.00"},
			{group: "rl", name: "root", size: 20 * gib, minor: 0, open: true},
		},
	}
	w.Tool("lvs", w.list)
	w.Tool("lvcreate", w.create)
	w.Tool("lvremove", w.drop)
	return w
}

// BlockDevice knows the devices of the model.
func (w *world) BlockDevice(path string) (major, minor int, err error) {
	n, ok := w.devices[path]
	if !ok {
		return 0, 0, fmt.Errorf("device %s: no such file or directory", path)
	}
	return w.major, n, nil
}

func (w *world) find(full string) *lv {
	i := slices.IndexFunc(w.lvs, func(v *lv) bool { return v.group+"/"+v.name == full })
	if i < 0 {
		return nil
	}
	return w.lvs[i]
}

func (v *lv) role() string {
	switch {
	case v.plain || v.origin == "":
		return "public"
	case v.pool != "":
		return "public,snapshot,thinsnapshot"
	}
	return "public,snapshot,thicksnapshot"
}

func (v *lv) layout() string {
	switch {
	case v.pool != "":
		return "thin,sparse"
	case v.meta != "":
		return "thin,pool"
	}
	return "linear"
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// row is the volume as "lvs --binary" prints it.
func (w *world) row(v *lv) map[string]string {
	r := map[string]string{
		"vg_name": v.group, "vg_free": fmt.Sprint(w.free), "vg_extent_size": fmt.Sprint(w.extent), "lv_name": v.name,
		"lv_size": fmt.Sprint(v.size), "lv_role": v.role(), "lv_layout": v.layout(), "lv_tags": v.tags, "lv_time": "",
		"origin": v.origin, "pool_lv": v.pool, "lv_kernel_major": fmt.Sprint(w.major), "lv_kernel_minor": fmt.Sprint(v.minor),
		"lv_active_locally": bit(!v.inactive), "lv_device_open": bit(v.open), "lv_snapshot_invalid": "-1",
		"lv_health_status": v.health, "data_percent": v.data, "metadata_percent": v.meta,
	}
	if !v.made.IsZero() {
		r["lv_time"] = fmt.Sprint(v.made.Unix())
	}
	if v.plain {
		r["origin"] = ""
	}
	if strings.HasSuffix(v.role(), "thicksnapshot") {
		r["lv_snapshot_invalid"] = bit(v.invalid)
	}
	if v.inactive {
		r["lv_kernel_major"], r["lv_kernel_minor"], r["lv_snapshot_invalid"], r["data_percent"] = "-1", "-1", "-1", ""
	}
	return r
}

func (w *world) list(c host.Cmd) (string, error) {
	if w.finishAfter > 0 {
		if w.finishAfter--; w.finishAfter == 0 {
			for _, v := range w.lvs {
				v.plain, v.inactive = false, false
			}
		}
	}
	rows := []map[string]string{}
	columns := strings.Split(c.Args[len(c.Args)-1], ",")
	for _, v := range w.lvs {
		all, asked := w.row(v), map[string]string{}
		for _, col := range columns {
			asked[col] = all[col]
		}
		rows = append(rows, asked)
	}
	out, err := json.Marshal(map[string]any{"report": []any{map[string]any{"lv": rows}}, "log": []any{}})
	return string(out), err
}

// create is lvcreate. It knows the arguments of snapshots and no others.
func (w *world) create(c host.Cmd) (string, error) {
	origin := w.find(c.Args[len(c.Args)-1])
	if origin == nil {
		return "", hosttest.Exit(c, 5, "  Snapshot origin LV not found in Volume group.")
	}
	v := &lv{group: origin.group, origin: origin.name, pool: origin.pool, size: origin.size, made: at, minor: 20 + len(w.lvs), data: "0.00"}
	var tags []string
	for i, a := range c.Args {
		switch a {
		case "--addtag":
			tags = append(tags, c.Args[i+1])
		case "--name":
			v.name = c.Args[i+1]
		case "--size":
			v.size, _ = strconv.ParseInt(strings.TrimSuffix(c.Args[i+1], "b"), 10, 64)
		}
	}
	v.tags = strings.Join(tags, ",")
	switch {
	case w.find(v.group+"/"+v.name) != nil:
		return "", hosttest.Exit(c, 5, `  Logical Volume "`+v.name+`" already exists in volume group "drbdpool"`)
	case v.pool == "" && (v.size%w.extent != 0 || v.size > w.free):
		return "", hosttest.Exit(c, 5, `  Volume group "drbdpool" has insufficient free space`)
	case v.pool != "" && !slices.Contains(c.Args, "--setactivationskip"):
		v.inactive = true
	}
	if w.lazy {
		return "", nil
	}
	if v.pool == "" {
		w.free -= v.size
	}
	v.inactive = v.inactive || w.asleep
	w.lvs = append(w.lvs, v)
	if w.cut {
		v.plain, v.inactive = v.pool == "", true
		w.KillSelf()
		return "", context.Canceled
	}
	return "", nil
}

func (w *world) drop(c host.Cmd) (string, error) {
	v := w.find(c.Args[len(c.Args)-1])
	switch {
	case v == nil:
		return "", hosttest.Exit(c, 5, "  Failed to find logical volume")
	case v.open:
		return "", hosttest.Exit(c, 5, "  Logical volume "+v.name+" in use.")
	case !w.lazy:
		w.lvs = slices.DeleteFunc(w.lvs, func(x *lv) bool { return x == v })
	}
	return "", nil
}

// changes lists the commands that changed something, or tried to.
func (w *world) changes() []string {
	return slices.DeleteFunc(w.Commands(), func(s string) bool { return strings.HasPrefix(s, "lvs ") })
}

// request is one for the thick volume: 8 MiB were changed.
func request() snapshot.Request {
	return snapshot.Request{Resource: "res0", BackingDev: thick, Incident: "5d41402a", ChangedBytes: 8 * mib, When: at}
}

// thinRequest is one for the thin volume.
func thinRequest() snapshot.Request {
	return snapshot.Request{Resource: "res1", Volume: 2, BackingDev: thin, Incident: "5d41402a", ChangedBytes: 8 * mib, When: at}
}
