package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// scrape returns the series of d's endpoint whose names begin with one of the
// prefixes. It needs real sockets, so it is called after the story.
func scrape(t *testing.T, d *Daemon, prefixes ...string) string {
	t.Helper()
	s, err := metrics.Listen(t.Context(), metrics.ServerOptions{
		Metrics: d.metrics, Healthy: d.healthy, Ready: d.ready.Load, Listen: []string{"127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1) // the goroutine below sends once
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		<-ended
	}()
	text := get(t, "http://"+s.Addrs()[0].String()+"/metrics")
	var b strings.Builder
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Ensure that the metrics of a split brain are 1 on both nodes while it lasts,
// over a restart, and 0 after it, and that what was done about it is counted.
func TestMetrics(t *testing.T) {
	const prefixes = "drbdnfs_split_brain{ drbdnfs_split_brain_detected_total drbdnfs_split_brain_resolutions_total drbdnfs_discard_policy_info " +
		"drbdnfs_helper_calls_total{helper=\"split-brain\", drbdnfs_events2_up drbdnfs_config_last_reload_successful drbdnfs_group_active"
	var b strings.Builder
	for _, end := range []string{"held", "held, restarted", "by hand", "automatic"} {
		policy := "manual"
		if end == "automatic" {
			policy = "discard-secondary"
		}
		w := story(t, false, automatic(policy), func(w *world) {
			w.diverge(8*mib, 2*mib)
			w.sleep(time.Minute)
			switch end {
			case "held, restarted":
				for _, n := range w.nodes {
					n.end()
					n.start()
				}
			case "by hand":
				w.byHand(1)
			}
			w.sleep(20 * time.Second)
		})
		for _, n := range w.nodes {
			fmt.Fprintf(&b, "# %s, %s\n%s", n.Name, end, scrape(t, n.owner.Daemon, strings.Fields(prefixes)...))
		}
	}
	golden(t, "metrics.golden", b.String())
}

// Ensure that a daemon that starts with a file that cannot be used offers its
// metrics where it does without a file, and says what is wrong.
func TestBrokenFileAtStart(t *testing.T) {
	n := alone(t, false, "[split_brain", func(w *world, n *node) {
		n.start()
		w.sleep(2 * time.Second)
		n.ask(func(o *owner) {
			select {
			case e := <-o.endpoints:
				if want := (endpoint{Listen: metrics.DefaultListen}); e != want {
					t.Errorf("endpoint %+v", e)
				}
			default:
				t.Error("there is no endpoint")
			}
		})
		if !strings.Contains(n.notified.String(), "the configuration cannot be used") {
			t.Error(n.notified.String())
		}
		n.configure(automatic("manual"))
		n.ask((*owner).reload)
		w.sleep(2 * time.Second)
		n.ask(func(o *owner) {
			if e := <-o.endpoints; e.Listen != "" {
				t.Errorf("endpoint %+v although it is off", e)
			}
		})
	})
	if got := scrape(t, n.owner.Daemon, "drbdnfs_config_last_reload_successful"); !strings.HasSuffix(got, " 1\n") {
		t.Errorf("after the repair: %s", got)
	}
}

// Ensure that systemd hears of the beginning once DRBD is known or known not to
// be there, of reloads after it, of life while the loop turns, and of the end.
func TestSystemd(t *testing.T) {
	n := alone(t, false, automatic("manual"), func(w *world, n *node) {
		n.boot()
		n.ask((*owner).reloadAsked)
		w.sleep(5 * time.Second)
		if got := n.notified.String(); got != "WATCHDOG=1\nSTATUS=looking at DRBD\n" {
			t.Errorf("at first systemd hears\n%s", got)
		}
		n.updates <- stream.Update{Down: stream.ErrModuleNotLoaded, State: drbd.NewState()}
		w.sleep(2 * time.Second)
		n.dumped()
		w.sleep(2 * time.Second)
		n.ask((*owner).reloadAsked)
		n.updates <- stream.Update{Down: errBusy}
		w.sleep(2 * time.Second)
		before := strings.Count(n.notified.String(), "WATCHDOG=1")
		n.owner.inbox <- func(*owner) { time.Sleep(10 * time.Minute) } // the loop hangs
		w.sleep(9 * time.Minute)
		if strings.Count(n.notified.String(), "WATCHDOG=1") != before {
			t.Error("the watchdog was fed while the loop hung")
		}
		w.sleep(2 * time.Minute)
		if strings.Count(n.notified.String(), "WATCHDOG=1") < before+2 {
			t.Error("the watchdog is not fed any more")
		}
	})
	want := []string{
		"STATUS=looking at DRBD", "READY=1", "STATUS=DRBD is not followed: " + stream.ErrModuleNotLoaded.Error(), "STATUS=following 1 resource",
		"RELOADING=1", "READY=1", "STATUS=DRBD is not followed: " + errBusy.Error(), "STOPPING=1",
	}
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(n.notified.String()), "\n"), func(s string) bool { return s == "WATCHDOG=1" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
}

// Ensure that Pacemaker is told of a lost volume once, where the configuration
// wants it and clients are served from here, and of nothing else.
func TestReportsFailures(t *testing.T) {
	fail := []string{"--fail --resource nfs --node drbdtest1"}
	dev, res := "change device name:res0 volume:0 minor:1000 ", "change resource name:res0 "
	alonePeer := "change peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Off peer-disk:DUnknown"
	for _, tt := range []struct {
		name   string
		on     bool
		role   string
		lines  []string
		reason []string
	}{
		{"disk, and no other", true, "Primary", []string{alonePeer, dev + "disk:Failed"}, fail},
		{"disk, and the peer's is good", true, "Primary", []string{dev + "disk:Failed"}, nil},
		{"quorum", true, "Primary", []string{dev + "quorum:no"}, fail},
		{"quorum, twice", true, "Primary", []string{dev + "quorum:no", dev + "quorum:yes", dev + "quorum:no"}, fail},
		{"I/O suspended", true, "Primary", []string{res + "suspended:quorum"}, fail},
		{"I/O suspended by a person", true, "Primary", []string{res + "suspended:user"}, nil},
		{"quorum of a Secondary", true, "Secondary", []string{dev + "quorum:no"}, nil},
		{"not wanted", false, "Primary", []string{dev + "quorum:no"}, nil},
		{"only numbers", true, "Primary", []string{dev + "written:5"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := story(t, false, "", func(w *world) {
				n := w.nodes[0]
				base, _ := n.File(config.DefaultFile)
				n.SetFile(config.DefaultFile, strings.Replace(base, "[pacemaker]\n", fmt.Sprintf("[pacemaker]\nreport_failures = %v\n", tt.on), 1))
				n.ask((*owner).reload)
				w.pair.sides[0].setRole(tt.role)
				for _, line := range tt.lines {
					n.emit(line)
				}
				w.sleep(10 * time.Second)
			})
			if diff := cmp.Diff(tt.reason, w.failures); diff != "" {
				t.Errorf("crm_resource (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that the files by which ha_cluster_exporter knows of a split brain are
// there exactly as long as it is, whatever an earlier daemon has left, and that a
// failure to write one is repaired.
func TestMarkerFiles(t *testing.T) {
	const file = "/run/resource-agents/drbd-split-brain-detected-res0-0"
	story(t, false, automatic("manual", `marker_dir = "/run/resource-agents"`), func(w *world) {
		n := w.nodes[0]
		n.end()
		n.SetFile(file, "")
		n.start()
		w.sleep(3 * time.Second)
		there := func(want bool) {
			t.Helper()
			if _, got := n.File(file); got != want {
				t.Errorf("the file is there: %v, want %v", got, want)
			}
		}
		there(false)
		n.FailOnce("daemon.marker", errBusy)
		w.diverge(8*mib, 2*mib)
		w.sleep(2 * time.Second)
		n.emit("change device name:res0 volume:0 minor:1000 written:9") // something else
		w.sleep(2 * time.Second)
		there(true)
		n.end()
		n.start()
		w.sleep(2 * time.Second)
		there(true)
		w.byHand(1)
		w.sleep(3 * time.Second)
		there(false)
		if !strings.Contains(n.log.String(), "marker for ha_cluster_exporter") {
			t.Error("the failure is not told")
		}
	})
}

// Ensure that the command of the configuration hears of each step, and that one
// of a later configuration takes its place.
func TestAlerts(t *testing.T) {
	var heard []string
	w := story(t, false, automatic("discard-secondary", "[alerts]\ncommand = [\"/usr/local/bin/tell\"]"), func(w *world) {
		for _, n := range w.nodes {
			for _, program := range []string{"/usr/local/bin/tell", "/usr/local/bin/other"} {
				n.Runs(program, func(_ context.Context, c host.Cmd, stdin io.Reader, _ io.Writer) error {
					data, err := io.ReadAll(stdin)
					var a struct{ Kind, Node, Resource, Victim string }
					if err == nil {
						err = json.Unmarshal(data, &a)
					}
					w.mu.Lock()
					heard = append(heard, fmt.Sprintf("%s %s %s %s", c.Name, a.Kind, a.Node, a.Resource))
					w.mu.Unlock()
					return err
				})
			}
		}
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
		w.rewrite(0, automatic("manual", "[alerts]\ncommand = [\"/usr/local/bin/other\"]"))
		w.rewrite(1, automatic("manual"))
		w.sleep(2 * time.Second)
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
	})
	slices.Sort(heard)
	want := []string{
		"/usr/local/bin/other found drbdtest1 res0",
		// By the identifiers alone, and when DRBD said it.
		"/usr/local/bin/other refused drbdtest1 res0", "/usr/local/bin/other refused drbdtest1 res0",
		"/usr/local/bin/tell decided drbdtest1 res0", "/usr/local/bin/tell decided drbdtest2 res0",
		"/usr/local/bin/tell discarded drbdtest2 res0",
		"/usr/local/bin/tell found drbdtest1 res0", "/usr/local/bin/tell found drbdtest2 res0",
		"/usr/local/bin/tell resolved drbdtest1 res0", "/usr/local/bin/tell resolved drbdtest2 res0",
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	if got := scrape(t, w.nodes[1].owner.Daemon, `drbdnfs_alerts_total{sink="command"}`); !strings.HasSuffix(got, " 4\n") {
		t.Errorf("counted %q", got)
	}
}

// Ensure that the agent's actions are counted, and that what is no news of DRBD
// changes nothing.
func TestNotices(t *testing.T) {
	n := alone(t, false, automatic("manual"), func(w *world, n *node) {
		n.start()
		n.ask(func(o *owner) {
			o.noticed(notice.Notice{When: time.Now(), Action: &notice.Action{Group: "nfs", Name: "start", DurationMS: 1500}})
			o.noticed(notice.Notice{When: time.Now(), Helper: &notice.Helper{Name: "out-of-sync", Resource: resource}})
		})
		w.sleep(2 * time.Second)
		if s := n.status(); s.Phase != "none" {
			t.Errorf("%+v", s)
		}
	})
	if got := scrape(t, n.owner.Daemon, `drbdnfs_agent_actions_total{action="start",`); !strings.Contains(got, `group="nfs"`) || !strings.HasSuffix(got, " 1\n") {
		t.Errorf("counted %q", got)
	}
}
