package daemon

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/kmsg"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// feed gives text, as drbdsetup prints it, to the owner: a dump and what follows.
func (n *node) feed(text string) {
	state, kernel := drbd.NewState(), drbd.Version{Major: 9, Minor: 1, Patch: 23}
	if n.side.pair.kernel84 {
		kernel = drbd.Version{Major: 8, Minor: 4, Patch: 11}
	}
	for ev, err := range events2.Read(strings.NewReader(text)) {
		switch {
		case err != nil:
			n.w.t.Fatal(err)
		case !state.Complete:
			if state.Apply(ev); state.Complete {
				n.updates <- stream.Update{Up: true, State: state, Kernel: kernel}
			}
		default:
			n.w.sleep(time.Millisecond)
			n.updates <- stream.Update{Events: []drbd.Event{ev}}
		}
	}
	n.w.sleep(10 * time.Millisecond)
}

// Ensure that recordings of real DRBD become the log lines that a person needs.
func TestRecordings(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		v84        bool
	}{
		{"drbd-9.1.23-split-brain", "../drbd/testdata/drbd-9.1.23/node1/events2.log", false},
		{"drbd-8.4.11-split-brain", "../drbd/testdata/drbd-8.4.11/split-brain.log", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := os.ReadFile(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			n := alone(t, tt.v84, "", func(_ *world, n *node) {
				n.Delete(config.DefaultFile)
				n.boot()
				n.feed(string(text))
			})
			golden(t, tt.name+".golden", n.log.String())
		})
	}
}

// Ensure that single lines of events2 are told at the right level, or not at all.
func TestLevels(t *testing.T) {
	const dump = `exists resource name:r0 role:Secondary suspended:no may_promote:no promotion_score:10101
exists connection name:r0 peer-node-id:1 conn-name:b connection:Connected role:Primary
exists device name:r0 volume:0 minor:1000 disk:UpToDate client:no quorum:yes
exists peer-device name:r0 peer-node-id:1 conn-name:b volume:0 replication:Established peer-disk:UpToDate
exists -
`
	for _, tt := range []struct{ name, line, want string }{
		{"promoted", "change resource name:r0 role:Primary", `level=INFO msg="role changed" resource=r0 old=Secondary new=Primary`},
		{"peer lost", "change connection name:r0 peer-node-id:1 conn-name:b connection:NetworkFailure", `level=WARN msg="connection changed" resource=r0 peer=b old=Connected new=NetworkFailure`},
		{"disk failed", "change device name:r0 volume:0 minor:1000 disk:Failed", `level=WARN msg="disk changed" resource=r0 volume=0 old=UpToDate new=Failed`},
		{"quorum lost", "change device name:r0 volume:0 minor:1000 quorum:no", `level=WARN msg="quorum changed" resource=r0 volume=0 old=yes new=no`},
		{"suspended", "change resource name:r0 suspended:quorum", `level=WARN msg="suspension of I/O changed" resource=r0 old=no new=quorum`},
		{"forced failures", "change resource name:r0 force-io-failures:yes", `level=WARN msg="forced I/O failures changed" resource=r0 old=unknown new=yes`},
		{"quorum helper", "call helper name:r0 peer-node-id:1 conn-name:b volume:0 minor:1000 helper:quorum-lost", `level=WARN msg="DRBD calls a helper" resource=r0 peer=b volume=0 helper=quorum-lost`},
		{"disk helper", "call helper name:r0 volume:0 minor:1000 helper:local-io-error", `level=ERROR msg="DRBD calls a helper" resource=r0 volume=0 helper=local-io-error`},
		{"helper failed", "response helper name:r0 peer-node-id:1 conn-name:b helper:fence-peer status:256", `level=WARN msg="helper of DRBD failed" resource=r0 peer=b helper=fence-peer code=1`},
		{"helper ended well", "response helper name:r0 peer-node-id:1 conn-name:b helper:disconnected status:0", ""},
		{"only counters", "change peer-device name:r0 peer-node-id:1 conn-name:b volume:0 done:4.26", ""},
		{"path", "change path name:r0 peer-node-id:1 conn-name:b local:ipv4:1.2.3.4:7000 peer:ipv4:1.2.3.5:7000 established:no", ""},
		{"went down", "destroy resource name:r0", `level=INFO msg="resource went down" resource=r0`},
		{"came up", "create resource name:r1 role:Secondary", "level=INFO msg=\"resource came up\" resource=r1\nlevel=INFO msg=\"role changed\" resource=r1 old=\"\" new=Secondary"},
		{"renamed", "rename resource name:r0 new_name:r2", `level=INFO msg="resource renamed" resource=r2 old=r0`},
		{"volume removed", "destroy device name:r0 volume:0 minor:1000", `level=INFO msg="volume removed" resource=r0 volume=0`},
		{"connection removed", "destroy connection name:r0 peer-node-id:1 conn-name:b", `level=INFO msg="connection removed" resource=r0 peer=b`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := alone(t, false, "", func(_ *world, n *node) {
				n.boot()
				n.feed(dump + tt.line + "\n")
			})
			_, rest, ok := strings.Cut(n.log.String(), "msg=\"resource found\" resource=r0 role=Secondary\n")
			if got := strings.TrimSpace(rest); !ok || got != tt.want {
				t.Errorf("log = %q, want %q", n.log.String(), tt.want)
			}
		})
	}
}

// split is a pair that diverged while no daemon ran.
func (w *world) split() {
	w.diverge(8*mib, 2*mib)
	if conn := w.pair.sides[0].conn; conn != "StandAlone" {
		w.t.Errorf("DRBD is %s", conn)
	}
}

// record is what the handler leaves of a split brain.
func (n *node) record(peerID int) {
	_, err := handler.NewStore(n.Host, handler.Dir).Add(notice.Notice{
		Node: n.Name, When: time.Now(),
		Helper: &notice.Helper{Name: "split-brain", Resource: resource, PeerNodeID: peerID, Peer: n.side.peer().name},
	})
	if err != nil {
		n.w.t.Error(err)
	}
}

// recordTests are ways in which the daemon comes to know of a handler's record.
var recordTests = map[string]func(w *world, n *node, peerID int){
	"up": func(_ *world, n *node, peerID int) {
		n.record(peerID)
		n.start()
	},
	"comes later": func(w *world, n *node, peerID int) {
		n.start()
		w.sleep(2 * time.Second)
		n.record(peerID)
		n.ask((*owner).readRecords)
	},
	"noticed": func(w *world, n *node, peerID int) {
		n.start()
		w.sleep(2 * time.Second)
		n.ask(func(o *owner) {
			o.noticed(notice.Notice{When: time.Now(), Helper: &notice.Helper{Name: "split-brain", Resource: resource, PeerNodeID: peerID}})
		})
	},
	"down at first": func(w *world, n *node, peerID int) {
		n.record(peerID)
		n.side.up = false
		n.boot()
		n.updates <- stream.Update{Down: stream.ErrModuleNotLoaded, State: drbd.NewState()}
		w.sleep(time.Minute)
		if !strings.Contains(n.notified.String(), "READY=1") {
			w.t.Error("systemd is not told that it is ready")
		}
		n.side.up = true
		n.dumped()
	},
	"down at first, and remembered": func(w *world, n *node, peerID int) {
		n.record(peerID)
		n.start()
		w.sleep(2 * time.Second)
		n.end()
		n.side.up = false
		n.boot()
		n.updates <- stream.Update{Down: stream.ErrModuleNotLoaded, State: drbd.NewState()}
		w.sleep(time.Minute)
		n.side.up = true
		n.dumped()
	},
}

// Ensure that a split brain that happened while no daemon ran is found by the
// handler's record, also when the resource is down at first, and that a record of
// one that is over counts for nothing.
func TestHandlerRecords(t *testing.T) {
	for kernel, v84 := range kernels {
		peerID := 1
		if v84 {
			peerID = -1
		}
		for name, plot := range recordTests {
			t.Run(kernel+" "+name, func(t *testing.T) {
				n := alone(t, v84, automatic("manual"), func(w *world, n *node) {
					w.split()
					plot(w, n, peerID)
					w.sleep(2 * time.Second)
					if s := n.status(); s.Phase != splitbrain.PhaseHeld {
						t.Errorf("it is %+v", s)
					}
				})
				if found := strings.Count(n.log.String(), `msg="split brain found"`); found != 1 {
					t.Errorf("it was found %d times:\n%s", found, n.log.String())
				}
			})
		}
	}
	n := alone(t, false, automatic("manual"), func(w *world, n *node) {
		n.record(1)
		w.sleep(time.Minute)
		n.start()
		w.sleep(time.Minute)
	})
	if strings.Contains(n.log.String(), "split brain") {
		t.Errorf("one that is over is told:\n%s", n.log.String())
	}
}

// Ensure that the kernel's words count, by the names that each kernel gives, also
// those that were read before DRBD's state was.
func TestKernelLog(t *testing.T) {
	for kernel, v84 := range kernels {
		lines := map[string]bool{
			"drbd res0/0 drbd1000 drbdtest2: Split-Brain detected but unresolved, dropping connection!":  true,
			"drbd res0/0 drbd1000 drbdtest9: Split-Brain detected but unresolved, dropping connection!":  false,
			"drbd other/0 drbd1000 drbdtest2: Split-Brain detected but unresolved, dropping connection!": false,
			"drbd res0/0 drbd1000 drbdtest2: Unrelated data, aborting!":                                  false,
		}
		if v84 {
			lines = map[string]bool{
				"block drbd1000: Split-Brain detected but unresolved, dropping connection!": true,
				"block drbd1001: Split-Brain detected but unresolved, dropping connection!": false,
			}
		}
		for line, want := range lines {
			for _, early := range []bool{false, true} {
				alone(t, v84, automatic("manual"), func(w *world, n *node) {
					w.split()
					m, _ := kmsg.Parse(line)
					said := func(o *owner) { o.kernelSaid(kmsg.Record{At: time.Now(), Message: m, Text: line}) }
					n.boot()
					if early {
						n.ask(said)
					}
					n.dumped()
					w.sleep(time.Second)
					if !early {
						n.ask(said)
					}
					w.sleep(time.Second)
					if got := n.status().Phase != splitbrain.PhaseNone; got != want {
						t.Errorf("%s, %q, early %v: found %v", kernel, line, early, got)
					}
				})
			}
		}
	}
}

// Ensure that DRBD 8.4's peer is one talk, with what was found of it, although
// its name comes with the configuration and goes with it.
func TestPeerWithoutName(t *testing.T) {
	w := story(t, true, automatic("discard-secondary"), func(w *world) {
		for i, n := range w.nodes {
			n.end()
			n.Delete(config.DefaultFile)
			n.Delete("/var/lib/drbdnfs")
			n.start()
			w.sleep(time.Second)
			if s := n.status(); s.Peer != drbd.Name84 {
				t.Errorf("drbdtest%d has %+v", i+1, s)
			}
		}
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
		for i, n := range w.nodes {
			if s := n.status(); s.Refusal != splitbrain.RefusalManual {
				t.Errorf("drbdtest%d has %+v", i+1, s)
			}
			w.rewrite(i, automatic("manual"))
			n.ask(func(o *owner) {
				if len(o.talks) != 1 {
					t.Errorf("there are %d talks", len(o.talks))
				}
			})
			if s := n.status(); s.Peer != n.side.peer().name || s.Refusal != splitbrain.RefusalManual {
				t.Errorf("drbdtest%d has %+v", i+1, s)
			}
			w.rewrite(i, "[broken")
			n.end()
			n.start()
			w.sleep(time.Second)
			if s := n.status(); s.Peer != n.side.peer().name {
				t.Errorf("drbdtest%d has %+v with a broken file", i+1, s)
			}
			w.rewrite(i, automatic("discard-secondary"))
		}
		w.sleep(time.Minute)
	})
	if got := w.discards(t, true); got != [2]int{0, 1} {
		t.Errorf("discarded %v", got)
	}
}

// Ensure that what is remembered of a peer that DRBD does not have is not mixed
// up with another one.
func TestRemovedPeer(t *testing.T) {
	alone(t, false, automatic("manual"), func(w *world, n *node) {
		r := splitbrain.Lost(resource, "drbdtest3")
		s := store{n.Host, "/var/lib/drbdnfs/split-brain"}
		if err := s.save(r); err != nil {
			t.Fatal(err)
		}
		w.pair.sides[1].id, w.pair.sides[0].id = 0, 1
		n.start()
		w.sleep(time.Second)
		n.ask(func(o *owner) {
			talks := o.of(resource)
			if len(talks) != 2 || talks[0].phase != splitbrain.PhaseNone || talks[1].phase != splitbrain.PhaseHeld {
				t.Errorf("%+v", talks)
			}
		})
		w.pair.sides[1].id, w.pair.sides[0].id = 1, 0
	})
}

// Ensure that a directory of records that cannot be read keeps everything from
// being discarded.
func TestForgotten(t *testing.T) {
	w := story(t, false, automatic("discard-secondary"), func(w *world) {
		w.nodes[1].end()
		w.nodes[1].SetFile("/var/lib/drbdnfs/split-brain", "not a directory")
		w.nodes[1].start()
		w.diverge(8*mib, 2*mib)
		w.sleep(3 * time.Minute)
		if s := w.nodes[1].status(); s.Refusal != splitbrain.RefusalLost && s.Refusal != splitbrain.RefusalState {
			t.Errorf("%+v", s)
		}
	})
	if got := w.discards(t, true); got != [2]int{} {
		t.Errorf("discarded %v", got)
	}
	if !strings.Contains(w.nodes[1].log.String(), "cannot be read, so that nothing is discarded") {
		t.Error(w.nodes[1].log.String())
	}
}

// Ensure that neither a node without a disk nor a peer without one is part of a
// split brain.
func TestDiskless(t *testing.T) {
	const dump = `exists resource name:r0 role:Secondary suspended:no may_promote:no promotion_score:1
exists connection name:r0 peer-node-id:1 conn-name:b connection:Connected role:Primary
exists connection name:r0 peer-node-id:2 conn-name:c connection:Connected role:Secondary
exists device name:r0 volume:0 minor:1000 disk:DISK client:CLIENT quorum:yes
exists peer-device name:r0 peer-node-id:1 conn-name:b volume:0 replication:Established peer-disk:UpToDate peer-client:no
exists peer-device name:r0 peer-node-id:2 conn-name:c volume:0 replication:Established peer-disk:Diskless peer-client:yes
exists -
`
	for want, disk := range map[int]*strings.Replacer{
		1: strings.NewReplacer("DISK", "UpToDate", "CLIENT", "no"),
		0: strings.NewReplacer("DISK", "Diskless", "CLIENT", "yes"),
	} {
		alone(t, false, "", func(_ *world, n *node) {
			n.boot()
			n.feed(disk.Replace(dump))
			n.ask(func(o *owner) {
				if len(o.talks) != want {
					t.Errorf("%d talks, want %d", len(o.talks), want)
				}
			})
		})
	}
}

// Ensure that a daemon without a machine, or on one without a name, is refused.
func TestNew(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("New did not fail")
	}
	if _, err := New(Options{Host: nameless{}}); !errors.Is(err, errBusy) {
		t.Errorf("without a name: %v", err)
	}
}

type nameless struct{ Machine }

func (nameless) Hostname() (string, error) { return "", errBusy }
