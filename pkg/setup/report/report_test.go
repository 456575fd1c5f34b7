package report_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func at(key string) string { return "drbdnfs.toml:" + strconv.Itoa(len(key)) }

func nothing(context.Context, setup.Progress) error { return nil }

// plan has an item of each action.
var plan = setup.Plan{Parts: []setup.Part{
	{Stage: setup.Host, Items: []setup.Item{
		{Object: "uname -n", Action: setup.Keep, Detail: "drbdtest1", Key: "node[0].name"},
		{Object: "volume group drbdpool", Action: setup.Make, Detail: "from /dev/vda3, 6 TiB", Key: "node[0].device", Do: nothing},
		{Object: "/etc/nfs.conf", Action: setup.Change, Detail: "pipefs-directory=/run/rpc_pipefs", Why: "the state directory moves with the service", Do: nothing},
		{Object: "linstor-satellite on drbdtest2", Action: setup.Await, Detail: "online", Do: nothing},
		{Object: "time", Action: setup.Warn, Detail: "not synchronised", Why: "systemctl enable --now chronyd"},
	}},
	{Stage: setup.Filesystem, Items: []setup.Item{
		{Object: "XFS on /dev/drbd1000", Action: setup.Later, Detail: "seen when DRBD is up"},
		{Object: "/home/nfs/user-data", Action: setup.Other, Detail: "made by drbdtest2"},
	}},
	{Stage: setup.CIB, Items: []setup.Item{
		{Object: "nfs lease_time", Action: setup.Change, Detail: "30s → 60s", Interrupts: "clients wait: the resource restarts on every node", Key: "nfs.lease_time", Do: nothing},
		{Object: "alert drbdnfs-alert", Action: setup.Drop, Detail: "no longer configured", Do: nothing},
	}},
}}

// Ensure that a plan says for each object what is there, what will be, why, and
// what clients notice.
func TestPlan(t *testing.T) {
	refused := setup.Plan{Parts: []setup.Part{{Stage: setup.Host, Items: []setup.Item{
		{
			Object: "device /dev/vda3", Action: setup.Refuse, Detail: "holds a file system (ext4, mounted at /srv)",
			Why: "name another device, or clear it yourself: wipefs --all /dev/vda3", Key: "node[0].device",
		},
	}}}}
	done := setup.Plan{Parts: []setup.Part{{Stage: setup.Host, Items: []setup.Item{{Object: "uname -n", Action: setup.Keep}}}}}
	for _, tt := range []struct {
		name string
		plan setup.Plan
	}{{"plan", plan}, {"refused", refused}, {"nothing", done}} {
		t.Run(tt.name, func(t *testing.T) {
			var text, color, js bytes.Buffer
			report.NewText(&text, report.Options{At: at}).Plan("drbdtest1", tt.plan)
			golden(t, tt.name+".txt", text.Bytes())
			report.NewText(&color, report.Options{At: at, Terminal: true}).Plan("drbdtest1", tt.plan)
			if !strings.Contains(color.String(), "\x1b[") {
				t.Error("no colour on a terminal")
			}
			j := report.NewJSON(&js, at)
			j.Plan("drbdtest1", tt.plan)
			golden(t, tt.name+".json", js.Bytes())
		})
	}
}

// steps runs through what happens to items while a plan is applied.
func steps(r setup.Reporter) {
	r.Stage(setup.Host)
	vg := setup.Item{Object: "volume group drbdpool", Action: setup.Make, Detail: "from /dev/vda3"}
	r.Begin(vg)
	r.End(vg, 300*time.Millisecond, nil)
	r.Stage(setup.Sync)
	sync := setup.Item{Object: "first synchronisation", Action: setup.Await, Detail: "6 TiB"}
	p := r.Begin(sync)
	p.Waiting("drbdtest2 to connect")
	p.Waiting("drbdtest2 to connect")
	for _, done := range []float64{0.101, 0.105, 0.2} {
		time.Sleep(40 * time.Second)
		p.Fraction(done, "210 MiB/s, 4m10s left")
	}
	r.End(sync, 2*time.Minute, nil)
	mkfs := setup.Item{Object: "XFS on /dev/drbd1000", Action: setup.Make}
	r.Begin(mkfs)
	r.End(mkfs, 2*time.Second, errors.New("mkfs.xfs: no space"))
}

// Ensure that each step is reported once, a wait when it changes, and a failure
// as one.
func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(*bytes.Buffer) setup.Reporter
	}{
		{"steps.txt", func(b *bytes.Buffer) setup.Reporter { return report.NewText(b, report.Options{}) }},
		{"steps.json", func(b *bytes.Buffer) setup.Reporter { return report.NewJSON(b, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				steps(tt.make(&b))
				golden(t, tt.name, b.Bytes())
			})
		})
	}
}

// Ensure that a terminal shows what is waited for and how much is done, and that
// nothing is drawn after the item's end.
func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	r := report.NewText(&b, report.Options{Terminal: true})
	it := setup.Item{Object: "first synchronisation", Action: setup.Await}
	p := r.Begin(it)
	p.Fraction(0.631, "210 MiB/s, 4m10s left")
	time.Sleep(300 * time.Millisecond) // drawn by a clock of its own
	r.End(it, time.Minute, nil)
	after := b.Len()
	time.Sleep(300 * time.Millisecond)
	if b.Len() != after {
		t.Error("drawn after the end")
	}
	if s := b.String(); !strings.Contains(s, "210 MiB/s, 4m10s left") || !strings.Contains(s, "63.1") {
		t.Errorf("the wait is not shown: %q", s)
	}
}
