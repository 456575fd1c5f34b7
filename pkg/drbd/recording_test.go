package drbd_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const recorded = "testdata/drbd-9.1.23"

// replayFile applies the lines of a recording up to a point in time, or all of
// them, and returns the state and the changes as text.
func replayFile(t *testing.T, path string, until time.Time) (*drbd.State, []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st := drbd.NewState()
	var changes []string
	for ev, err := range events2.Read(f) {
		if err != nil {
			t.Fatal(err)
		}
		if !until.IsZero() && ev.Time.After(until) {
			break
		}
		for _, c := range st.Apply(ev) {
			changes = append(changes, c.String())
		}
	}
	return st, changes
}

// words is what status --json and a replayed state have in common: all states,
// and of the numbers those that DRBD announces when they change.
type words struct {
	Role, Suspended, WriteOrdering string
	ForceIOFailures                drbd.Tri
	Devices, Peers                 []string
}

func stateWords(r *drbd.Resource, numbers bool) words {
	w := words{Role: string(r.Role), Suspended: string(r.Suspended), ForceIOFailures: r.ForceIOFailures}
	if numbers {
		w.WriteOrdering = r.WriteOrdering
	}
	for _, d := range r.SortedDevices() {
		line := fmt.Sprintf("%d minor %d %s client %v quorum %v", d.Volume, d.Minor, d.Disk, d.Client, d.Quorum)
		if numbers {
			line += fmt.Sprintf(" size %d", d.SizeBytes)
		}
		w.Devices = append(w.Devices, line)
	}
	for _, c := range r.SortedConnections() {
		for _, p := range c.SortedPeerDevices() {
			w.Peers = append(w.Peers, fmt.Sprintf("%d %s %s %s/%d %s %s client %v suspended %s",
				c.PeerNodeID, c.Name, c.State, c.Role, p.Volume, p.Replication, p.PeerDisk, p.PeerClient, p.ResyncSuspended))
		}
	}
	return w
}

// jsonWords reads the same from "drbdsetup status --json".
func jsonWords(t *testing.T, path string, numbers bool) words {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Role            string `json:"role"`
		Suspended       bool   `json:"suspended"`
		ForceIOFailures bool   `json:"force-io-failures"`
		WriteOrdering   string `json:"write-ordering"`
		Devices         []struct {
			Volume, Minor  int
			Disk           string `json:"disk-state"`
			Client, Quorum bool
			Size           int64
		}
		Connections []struct {
			ID          int `json:"peer-node-id"`
			Name        string
			State       string `json:"connection-state"`
			Role        string `json:"peer-role"`
			PeerDevices []struct {
				Volume      int
				Replication string `json:"replication-state"`
				Disk        string `json:"peer-disk-state"`
				Client      bool   `json:"peer-client"`
				Suspended   string `json:"resync-suspended"`
			} `json:"peer_devices"`
		}
	}
	if err := json.Unmarshal(data, &all); err != nil || len(all) != 1 {
		t.Fatalf("%s: %d resources, %v", path, len(all), err)
	}
	tri := func(b bool) drbd.Tri {
		if b {
			return drbd.Yes
		}
		return drbd.No
	}
	r := all[0]
	w := words{Role: r.Role, Suspended: tri(r.Suspended).String(), ForceIOFailures: tri(r.ForceIOFailures)}
	if numbers {
		w.WriteOrdering = r.WriteOrdering
	}
	for _, d := range r.Devices {
		line := fmt.Sprintf("%d minor %d %s client %v quorum %v", d.Volume, d.Minor, d.Disk, tri(d.Client), tri(d.Quorum))
		if numbers {
			line += fmt.Sprintf(" size %d", d.Size<<10)
		}
		w.Devices = append(w.Devices, line)
	}
	for _, c := range r.Connections {
		for _, p := range c.PeerDevices {
			w.Peers = append(w.Peers, fmt.Sprintf("%d %s %s %s/%d %s %s client %v suspended %s",
				c.ID, c.Name, c.State, c.Role, p.Volume, p.Replication, p.Disk, tri(p.Client), p.Suspended))
		}
	}
	return w
}

// Ensure that replaying a recording ends in the state that DRBD itself
// reported at that moment, whatever options events2 ran with.
func TestRecordingMatchesStatus(t *testing.T) {
	moments := []struct {
		status string
		at     time.Time
	}{
		{"status-split-brain.json", time.Date(2026, 11, 23, 5, 42, 0, 0, time.UTC)},
		{"status-after.json", time.Date(2026, 11, 23, 5, 42, 30, 0, time.UTC)},
	}
	for _, n := range []string{"node1", "node2"} {
		for _, m := range moments {
			for _, form := range []string{"events2.log", "events2-full.log", "events2-statistics.log"} {
				t.Run(n+"/"+m.status+"/"+form, func(t *testing.T) {
					numbers := form != "events2.log"
					st, _ := replayFile(t, filepath.Join(recorded, n, form), m.at)
					want := jsonWords(t, filepath.Join(recorded, n, m.status), numbers)
					if diff := cmp.Diff(want, stateWords(st.Resources["res0"], numbers)); diff != "" {
						t.Errorf("state (-status +replayed):\n%s", diff)
					}
				})
			}
		}
	}
}

// Ensure that the three forms of one recording tell the same story: the same
// changes in the same order.
func TestRecordingForms(t *testing.T) {
	for _, n := range []string{"node1", "node2"} {
		_, want := replayFile(t, filepath.Join(recorded, n, "events2.log"), time.Time{})
		for _, form := range []string{"events2-full.log", "events2-statistics.log"} {
			_, got := replayFile(t, filepath.Join(recorded, n, form), time.Time{})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s/%s (-events2.log +%s):\n%s", n, form, form, diff)
			}
		}
	}
}

// Ensure that the changes made by each recording are those in its golden file.
func TestRecordingChanges(t *testing.T) {
	logs, err := filepath.Glob("testdata/*/*.log")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("testdata/*/*/events2.log")
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range append(logs, more...) {
		t.Run(log, func(t *testing.T) {
			_, changes := replayFile(t, log, time.Time{})
			got := strings.Join(changes, "\n") + "\n"
			golden := strings.TrimSuffix(log, ".log") + ".changes"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// Ensure that the recorded split brain leaves both scores where Pacemaker
// needs them: the side with the service stays the best.
func TestRecordingScores(t *testing.T) {
	at := time.Date(2026, 11, 23, 5, 42, 0, 0, time.UTC)
	for n, want := range map[string]int{"node1": drbd.ScoreBest, "node2": drbd.ScorePeerGone} {
		st, _ := replayFile(t, filepath.Join(recorded, n, "events2.log"), at)
		if got, ok, why := drbd.PromotionScore(st.Resources["res0"]); got != want || !ok {
			t.Errorf("%s: %d, %v (%s), want %d", n, got, ok, why, want)
		}
	}
}

// Ensure that what a DRBD 8.4 kernel announced line by line is what it dumps
// at the end of the recording.
func TestRecordingMatchesDump(t *testing.T) {
	dumps, err := filepath.Glob("testdata/drbd-8.4.11/*.dump")
	if err != nil || len(dumps) == 0 {
		t.Fatalf("%d dumps, %v", len(dumps), err)
	}
	for _, dump := range dumps {
		t.Run(dump, func(t *testing.T) {
			want, _ := replayFile(t, dump, time.Time{})
			got, _ := replayFile(t, strings.TrimSuffix(dump, ".dump")+".log", time.Time{})
			if diff := cmp.Diff(stateWords(want.Resources["res0"], true), stateWords(got.Resources["res0"], true)); diff != "" {
				t.Errorf("state (-dump +replayed):\n%s", diff)
			}
			if !got.Resources["res0"].Kernel84 {
				t.Error("not recognised as 8.4")
			}
		})
	}
}
