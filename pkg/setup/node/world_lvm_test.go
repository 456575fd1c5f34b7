package node_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// report is what LVM's reporting programs print.
func report(key string, rows []map[string]string) (string, error) {
	out, err := json.Marshal(map[string]any{"report": []any{map[string]any{key: rows}}})
	return string(out), err
}

func (w *world) vgs(host.Cmd) (string, error) {
	rows := []map[string]string{}
	for name, g := range w.groups {
		rows = append(rows, map[string]string{
			"vg_name": name, "vg_size": fmt.Sprint(g.size), "vg_free": fmt.Sprint(g.size - g.used), "vg_tags": g.tags, "lv_count": fmt.Sprint(len(g.lvs)),
		})
	}
	return report("vg", rows)
}

func (w *world) listPVs(host.Cmd) (string, error) {
	rows := []map[string]string{}
	for dev, vg := range w.pvs {
		rows = append(rows, map[string]string{"pv_name": dev, "vg_name": vg})
	}
	return report("pv", rows)
}

func (w *world) lvs(c host.Cmd) (string, error) {
	rows := []map[string]string{}
	for _, lv := range w.groups[c.Args[len(c.Args)-1]].lvs {
		rows = append(rows, map[string]string{"lv_name": lv.name, "lv_size": fmt.Sprint(lv.size), "segtype": lv.kind})
	}
	return report("lv", rows)
}

func (w *world) pvcreate(c host.Cmd) (string, error) {
	if w.probe != "" || len(c.Args) != 1 {
		return "", hosttest.Exit(c, 5, "Aborted writing signature")
	}
	w.pvs[c.Args[0]] = ""
	return "", nil
}

func (w *world) vgcreate(c host.Cmd) (string, error) {
	name, dev := c.Args[2], c.Args[3]
	if vg, ok := w.pvs[dev]; !ok || vg != "" || w.groups[name] != nil {
		return "", hosttest.Exit(c, 5, "cannot")
	}
	w.pvs[dev] = name
	w.groups[name] = &group{size: w.size - 4<<20, tags: c.Args[1]}
	return "", nil
}

func (w *world) vgremove(c host.Cmd) (string, error) {
	if len(w.groups[c.Args[0]].lvs) > 0 {
		return "", hosttest.Exit(c, 5, "Do you really want to remove volume group? [y/n]: n")
	}
	delete(w.groups, c.Args[0])
	w.pvs["/dev/vda3"] = ""
	return "", nil
}

func (w *world) lvcreate(c host.Cmd) (string, error) {
	g := w.groups[c.Args[len(c.Args)-1]]
	size := (g.size - g.used) / 100 * 95
	g.used += size
	g.lvs = append(g.lvs, volume{c.Args[7], "thin-pool", size})
	return "", nil
}

func (w *world) lvmconfig(c host.Cmd) (string, error) {
	if strings.HasSuffix(c.Args[2], "use_devicesfile") {
		return "", hosttest.Exit(c, 5, "Configuration node devices/use_devicesfile not found")
	}
	text, _ := w.File("/etc/lvm/lvmlocal.conf")
	if m := regexp.MustCompile(`global_filter = \[ (.*) \]`).FindStringSubmatch(text); m != nil {
		return "global_filter=" + m[1] + "\n", nil // one element is printed without brackets
	}
	return "global_filter=[\"a|.*|\"]\n", nil
}
