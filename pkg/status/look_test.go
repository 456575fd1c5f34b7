package status_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/status"
)

// newHost is drbdtest1, passive, with the captured answers of a cluster in which
// drbdtest2 serves.
func newHost(t *testing.T) *hosttest.Host {
	t.Helper()
	h := hosttest.New(t)
	h.SetUp()
	text := strings.NewReplacer(`mode = ""`, "mode = \"none\"\naccept_split_brain = true").Replace(config.Example())
	h.SetFile(config.DefaultFile, text)
	for name, file := range map[string]string{
		"crm_mon": "testdata/crm_mon-2.1.5-promoted.xml", "cibadmin": "testdata/cib-2.1.5.xml", "drbdsetup": "testdata/secondary-9.events2",
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h.Tool(name, func(host.Cmd) (string, error) { return string(data), nil })
	}
	h.Tool("lvs", func(host.Cmd) (string, error) { return `{"report":[{"lv":[]}]}`, nil })
	for _, name := range []string{"attrd_updater", "journalctl"} {
		h.Tool(name, func(host.Cmd) (string, error) { return "", nil })
	}
	return h
}

func look(t *testing.T, m status.Machine) status.Facts {
	t.Helper()
	l, err := status.New(status.Options{Host: m})
	if err != nil {
		t.Fatal(err)
	}
	return l.Facts(t.Context())
}

// Ensure that a look finds what there is, changes nothing, and labels what it
// runs.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		f := look(t, h)
		if f.Self != "drbdtest1" || f.Config != status.ConfigGood || f.Plan.FromCIB || f.DRBD != status.DRBDUp || f.Group == nil {
			t.Errorf("%+v", f)
		}
		if len(f.Unknown) > 0 {
			t.Errorf("unknown: %v", f.Unknown)
		}
		p := status.Judge(f)
		if p.Service.Active != "drbdtest2" || p.Fencing.Mode != "none" || len(p.Nodes) != 2 {
			t.Errorf("%+v", p)
		}
		if p.Service.Since.Unix() != 1795417785 || p.Service.Previous != "drbdtest1" || p.Service.StallMS != 23368 {
			t.Errorf("since %v from %q, %d ms", p.Service.Since, p.Service.Previous, p.Service.StallMS)
		}
		commands := strings.Join(h.Commands(), "\n")
		for _, want := range []string{"crm_mon --one-shot", "cibadmin --query", "drbdsetup events2 --now --statistics", "drbdnfs-evidence-res0-drbdtest1-drbdtest2"} {
			if !strings.Contains(commands, want) {
				t.Errorf("%q was not run:\n%s", want, commands)
			}
		}
		if h.Serves() || len(h.Leftovers()) > 0 {
			t.Errorf("left: %v", h.Leftovers())
		}
	})
}

// Ensure that whatever hangs, or fails, the answer comes in time, says what is
// missing, and has the rest.
func TestLookHangs(t *testing.T) {
	tests := []struct {
		op, source string
	}{
		{"status.crm_mon", "crm_mon"},
		{"status.cib", "cib"},
		{"status.drbd", "drbd"},
		{"status.journal", "journal"},
		{"pacemaker.query", "evidence"},
		{"drbd.status", "group"},
		{"read " + config.DefaultFile, "config"},
		{"addresses", "addresses"},
		{"snapshot.lvs", "snapshots"},
		{"read /proc/drbd", "drbd"},
	}
	for _, tt := range tests {
		for how, inject := range map[string]func(*hosttest.Host){
			"hangs": func(h *hosttest.Host) { h.Hang(tt.op) }, "hangs in the kernel": func(h *hosttest.Host) { h.Freeze(tt.op) },
			"fails": func(h *hosttest.Host) { h.Fail(tt.op, errors.New("injected")) },
		} {
			if how == "hangs" && !withContext(tt.op) {
				continue
			}
			t.Run(tt.op+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHost(t)
					inject(h)
					begin := time.Now()
					f := look(t, h)
					if took := time.Since(begin); took > 1900*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					if !slices.ContainsFunc(f.Unknown, func(u status.Unknown) bool { return u.Source == tt.source && u.Why != "" }) {
						t.Errorf("%s is not among the unknown: %v", tt.source, f.Unknown)
					}
					if f.Cluster == nil && tt.source != "crm_mon" {
						t.Errorf("nothing of the cluster: %+v", f)
					}
					if f.Plan == nil && (tt.source != "config" || how == "fails") {
						t.Errorf("no plan: %+v", f.Unknown)
					}
					h.Clear()
					synctest.Wait()
				})
			})
		}
	}
}

// withContext reports whether a call of the fake machine ends with its context.
func withContext(op string) bool { return !strings.HasPrefix(op, "read ") }

// Ensure that everything may hang at once, again and again, and that the number
// of questions that are left behind stays small.
func TestLookEverythingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		for _, op := range []string{"status.crm_mon", "status.cib", "status.drbd", "addresses", "read " + config.DefaultFile} {
			h.Freeze(op)
		}
		l, err := status.New(status.Options{Host: h})
		if err != nil {
			t.Fatal(err)
		}
		var p status.Picture
		for range 6 {
			begin := time.Now()
			p = l.Look(t.Context())
			if took := time.Since(begin); took > status.DefaultLimit {
				t.Errorf("it took %v", took)
			}
		}
		if p.Level != status.Degraded || !slices.ContainsFunc(p.Unknown, func(u status.Unknown) bool { return u.Why == "earlier questions hang" }) {
			t.Errorf("%s: %v", p.Level, p.Unknown)
		}
		runs := 0
		for _, op := range h.Ops() {
			if op == "status.crm_mon" {
				runs++
			}
		}
		if runs != 4 {
			t.Errorf("crm_mon was begun %d times, want 4", runs)
		}
		h.Clear()
		synctest.Wait()
	})
}

// Ensure that without a configuration file the CIB says what there is, and that
// with neither there is still an answer.
func TestLookWithoutConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.Delete(config.DefaultFile)
		f := look(t, h)
		if f.Config != status.ConfigMissing || f.Plan == nil || !f.Plan.FromCIB || f.Plan.Resource != "res0" || f.DRBD != status.DRBDUp {
			t.Errorf("%+v", f)
		}
		h.SetFile(config.DefaultFile, "nods = 1\n")
		if f = look(t, h); f.Config != status.ConfigBroken || !strings.Contains(f.ConfigError, "nods") || f.Plan == nil {
			t.Errorf("%+v", f)
		}
		h.Bare()
		h.Delete(config.DefaultFile)
		for _, name := range []string{"crm_mon", "cibadmin"} {
			h.Tool(name, func(c host.Cmd) (string, error) { return "", hosttest.Exit(c, 102, "Connection refused") })
		}
		f = look(t, h)
		if !f.ClusterStopped || f.Plan != nil {
			t.Errorf("%+v", f)
		}
		if p := status.Judge(f); p.Level != status.Degraded || p.Headline == "" {
			t.Errorf("%s %q", p.Level, p.Headline)
		}
	})
}

// Ensure that a split brain is seen in what the nodes publish, and in this
// node's records, and the marker.
func TestLookSplitBrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		record := splitbrain.Record{Revision: 1, Resource: "res0", Peer: "drbdtest2", Phase: splitbrain.PhaseHeld, Refusal: splitbrain.RefusalManual, FoundAt: time.Now()}
		data, err := record.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		h.SetFile("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json", string(data))
		h.SetFile("/var/lib/drbdnfs/victim/res0", "why\n")
		f := look(t, h)
		if len(f.Records) != 1 || f.Victim != drbd.Yes {
			t.Errorf("%+v %v %v", f.Records, f.Victim, f.Unknown)
		}
		p := status.Judge(f)
		if len(p.SplitBrains) != 1 || p.SplitBrains[0].Refusal != "manual" {
			t.Errorf("%+v", p.SplitBrains)
		}
		h.SetFile("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json", "garbage")
		if f = look(t, h); !slices.ContainsFunc(f.Unknown, func(u status.Unknown) bool { return u.Source == "records" }) {
			t.Errorf("a broken record goes unseen: %v", f.Unknown)
		}
	})
}

// unprivileged is a machine whose files of root cannot be read.
type unprivileged struct{ *hosttest.Host }

func (u unprivileged) Lstat(path string) (fs.FileInfo, error) {
	if strings.HasPrefix(path, "/var/lib/drbdnfs/") {
		return nil, fs.ErrPermission
	}
	return u.Host.Lstat(path)
}

func (u unprivileged) RPCNull(context.Context, netip.AddrPort, uint32, uint32) error { return nil }

// Ensure that a user who may not see all is told so, and sees the rest.
func TestLookUnprivileged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := status.Judge(look(t, unprivileged{newHost(t)}))
		if p.Service.Active != "drbdtest2" || p.Level == status.Down ||
			!slices.ContainsFunc(p.Unknown, func(u status.Unknown) bool {
				return u.Source == "records" && strings.Contains(u.Why, "permission denied")
			}) {
			t.Errorf("%s %+v", p.Level, p.Unknown)
		}
	})
}

// Ensure that a looker may be used by many at once.
func TestLookConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := status.New(status.Options{Host: newHost(t)})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if p := l.Look(t.Context()); p.Service.Active != "drbdtest2" {
					t.Errorf("%+v", p.Service)
				}
			})
		}
		all.Wait()
	})
}

// Ensure that a looker without a machine is refused.
func TestNew(t *testing.T) {
	if _, err := status.New(status.Options{}); err == nil {
		t.Error("no error")
	}
}
