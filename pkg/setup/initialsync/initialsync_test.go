package initialsync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/initialsync"
)

// conf is a configuration of two nodes and, on request, a tie-breaker.
func conf(tieBreaker bool) *config.Config {
	c := &config.Config{
		Nodes:    []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}},
		Resource: config.Resource{Name: "res0", Source: "drbdtest1"},
	}
	if tieBreaker {
		c.Nodes = append(c.Nodes, config.Node{Name: "drbdtest3", Diskless: true})
	}
	return c
}

// shown records what an item shows.
type shown []string

// Waiting records the text.
func (s *shown) Waiting(what string) { *s = append(*s, "waiting: "+what) }

// Fraction records number and text.
func (s *shown) Fraction(done float64, text string) {
	*s = append(*s, strings.TrimSpace(fmt.Sprintf("%.2f %s", done, text)))
}

// dump is drbdsetup's answer with one peer on DRBD 9.
func dump(disk, connection, replication, peerDisk, more string) string {
	return "exists resource name:res0 role:Secondary suspended:no may_promote:no promotion_score:1\n" +
		"exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:" + connection + " role:Secondary\n" +
		"exists device name:res0 volume:0 minor:1000 disk:" + disk + " client:no quorum:yes size:4194304\n" +
		"exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:" + replication + " peer-disk:" + peerDisk + " peer-client:no" + more + "\n" +
		"exists -\n"
}

// source is the node that copies, with MiB of 4 GiB left.
func source(mib int) string {
	return dump("UpToDate", "Connected", "SyncSource", "Inconsistent",
		fmt.Sprintf(" resync-suspended:no done:%.2f out-of-sync:%d", 100-float64(mib)/40.96, mib*1024))
}

// old is the same on DRBD 8.4.
func old(mib int) string {
	return "exists resource name:res0 role:Primary suspended:no\n" +
		"exists connection name:res0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary\n" +
		"exists device name:res0 volume:0 minor:1000 disk:UpToDate size:4194304\n" +
		"exists peer-device name:res0 peer-node-id:0 conn-name:peer volume:0 replication:SyncSource peer-disk:Inconsistent resync-suspended:no " +
		fmt.Sprintf("out-of-sync:%d\n", mib*1024) + "exists -\n"
}

var (
	good    = dump("UpToDate", "Connected", "Established", "UpToDate", "")
	target  = dump("Inconsistent", "Connected", "SyncTarget", "UpToDate", " done:50.00 out-of-sync:2097152")
	lost    = dump("UpToDate", "Connecting", "Off", "DUnknown", "")
	givenUp = dump("UpToDate", "StandAlone", "Off", "DUnknown", "")
	paused  = dump("UpToDate", "Connected", "PausedSyncS", "Inconsistent", " resync-suspended:user done:25.00 out-of-sync:3145728")
)

// world is a node whose drbdsetup answers one after the other; the last answer
// stays.
func world(t *testing.T, answers ...string) *hosttest.Host {
	t.Helper()
	h := hosttest.New(t)
	h.SetUp()
	h.Tool("drbdsetup", func(host.Cmd) (string, error) {
		out := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return out, nil
	})
	return h
}

func stage(h *hosttest.Host, c *config.Config, self string) *initialsync.Stage {
	return initialsync.New(initialsync.Options{Machine: h, Config: c, Self: self, Log: slog.New(slog.DiscardHandler)})
}

// look returns the stage's only item.
func look(t *testing.T, s *initialsync.Stage) setup.Item {
	t.Helper()
	items, err := s.Look(t.Context())
	if err != nil || len(items) != 1 {
		t.Fatalf("got %v, %v", items, err)
	}
	return items[0]
}

// Ensure that only a synchronisation that runs is waited for, and that
// everything else is told as it is.
func TestLook(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         setup.Action
		detail       string
	}{
		{"all good", good, setup.Keep, "all disks are UpToDate"},
		{"source", source(1024), setup.Await, "75.0 % done"},
		{"target", target, setup.Await, "50.0 % done"},
		{"8.4", old(1024), setup.Await, "75.0 % done"},
		{"paused", paused, setup.Await, "25.0 % done"},
		{"lost", lost, setup.Warn, "drbdtest2 is not connected (Connecting)"},
		{"given up", givenUp, setup.Warn, "drbdtest2 is not connected (StandAlone)"},
		{"8.4 given up", strings.Join(append(strings.SplitAfter(old(0), "\n")[:1], "exists device name:res0 volume:0 minor:1000 disk:UpToDate size:1\nexists -\n"), ""), setup.Warn, "0 of 1 other nodes have a connection"},
		{"detached", dump("Diskless", "Connected", "Established", "UpToDate", ""), setup.Warn, "disk of this node is Diskless"},
		{"blank", dump("Inconsistent", "Connected", "Established", "Inconsistent", ""), setup.Warn, "disk of this node is Inconsistent, disk of drbdtest2 is Inconsistent"},
		{"down", "exists -\n", setup.Warn, "the resource is down on this node"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := world(t, tt.answer)
			if strings.Contains(tt.name, "8.4") {
				h.DRBD.Kernel84 = true
			}
			it := look(t, stage(h, conf(false), "drbdtest1"))
			if it.Action != tt.want || it.Detail != tt.detail {
				t.Errorf("got %s %q, want %s %q", it.Action, it.Detail, tt.want, tt.detail)
			}
			if (it.Do != nil) != (tt.want == setup.Await) {
				t.Error("something to do where there is nothing to wait for")
			}
		})
	}
}

// Ensure that a resource that nobody has made comes later, that a tie-breaker
// neither waits nor is waited for, and that another machine is an error.
func TestLookElsewhere(t *testing.T) {
	h := world(t, "exists -\n")
	h.DRBD.Configured = false
	if it := look(t, stage(h, conf(false), "drbdtest1")); it.Action != setup.Later {
		t.Errorf("nothing there: %+v", it)
	}
	if it := look(t, stage(h, conf(true), "drbdtest3")); it.Action != setup.Keep {
		t.Errorf("tie-breaker: %+v", it)
	}
	without := strings.Replace(good, "exists device", "exists connection name:res0 peer-node-id:2 conn-name:drbdtest3 connection:Connecting role:Unknown\nexists device", 1)
	if it := look(t, stage(world(t, without), conf(true), "drbdtest1")); it.Action != setup.Keep {
		t.Errorf("tie-breaker away: %+v", it)
	}
	if _, err := stage(h, conf(false), "elsewhere").Look(t.Context()); err == nil {
		t.Error("no error on a machine that is not in the configuration")
	}
	if items, err := stage(h, conf(false), "drbdtest1").LookRemove(t.Context()); items != nil || err != nil {
		t.Errorf("remove: %v, %v", items, err)
	}
}

// Ensure that progress, rate and time left are shown until all have the data,
// and that what stops the synchronisation for a time is told.
func TestShow(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []string
		want    shown
		err     string
	}{
		{
			"to the end",
			[]string{source(4096), source(4096), source(4096 - 105), source(4096 - 210), good},
			shown{"0.00", "0.03 210 MiB/s, 19s left", "0.05 210 MiB/s, 19s left", "1.00"},
			"",
		},
		{
			"on 8.4",
			[]string{old(2048), old(2048), old(1948), good},
			shown{"0.50", "0.52 200 MiB/s, 10s left", "1.00"},
			"",
		},
		{
			"lost and back",
			[]string{source(4096), source(3000), lost, source(3000), good},
			shown{"0.27", "waiting: drbdtest2 is not connected (Connecting); the synchronisation goes on by itself when the node is back", "0.27", "1.00"},
			"",
		},
		{
			"paused",
			[]string{paused, paused, good},
			shown{"waiting: the synchronisation with drbdtest2 is paused (user): drbdadm resume-sync res0", "1.00"},
			"",
		},
		{"given up", []string{source(4096), givenUp}, nil, "DRBD has given the connection up"},
		{"taken down", []string{source(4096), "exists -\n"}, nil, "is not up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := world(t, tt.answers...)
				h.DRBD.Kernel84 = tt.name == "on 8.4"
				it := look(t, stage(h, conf(false), "drbdtest1"))
				var got shown
				err := it.Do(t.Context(), &got)
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("shown (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Ensure that the rate is that of the last seconds, not of the whole time, and
// that the end of the context ends the wait and says that DRBD goes on.
func TestShowUntilInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := hosttest.New(t)
		h.SetUp()
		h.Tool("drbdsetup", func(host.Cmd) (string, error) {
			s := time.Since(start).Seconds()
			left := 4096 - 100*s // 100 MiB/s, after 20 s 10 MiB/s
			if s > 20 {
				left = 2096 - 10*(s-20)
			}
			return source(int(left)), nil
		})
		it := look(t, stage(h, conf(false), "drbdtest1"))
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		var got shown
		err := it.Do(ctx, &got)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "DRBD goes on") {
			t.Errorf("got %v", err)
		}
		if last := got[len(got)-1]; !strings.Contains(last, " 10 MiB/s") {
			t.Errorf("last shown %q", last)
		}
	})
}
