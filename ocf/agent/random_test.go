package agent_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

var (
	lives = flag.Int("lives", 40, "random lives of a node to try")
	seed  = flag.Uint64("seed", 1, "seed of the first random life; each next one has the next")
)

// stepsPerLife is how many actions and accidents one random life has.
const stepsPerLife = 60

// Ensure that no sequence of actions and accidents, with a fault in about every
// third action, makes a call do what must never be done (see package
// hosttest), that an action that says that it succeeded has, and that a stop
// without faults always ends clean or asks for fencing because DRBD holds back
// I/O.
func TestRandomLives(t *testing.T) {
	t.Parallel()
	labels := map[string][]string{}
	for _, action := range matrixActions {
		calls, _ := callsOf(t, action)
		for _, c := range calls {
			labels[action] = append(labels[action], c.op)
		}
		slices.Sort(labels[action]) // steps that run at once make their calls in any order
	}
	for i := range *lives {
		n := *seed + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", n), func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				l := &life{world: w, rnd: rand.New(rand.NewPCG(n, 0)), labels: labels}
				w.DRBD.Kernel84 = n%5 == 0
				w.DRBD.AutoPromo = n%7 == 0
				for range stepsPerLife {
					l.step(t)
					if v := w.Violations(); len(v) > 0 || t.Failed() {
						t.Fatalf("%v after:\n%s", v, strings.Join(l.log, "\n"))
					}
				}
				l.end(t)
			})
		})
	}
}

// life is one random life.
type life struct {
	*world
	rnd    *rand.Rand
	labels map[string][]string
	log    []string
}

func (l *life) note(format string, args ...any) { l.log = append(l.log, fmt.Sprintf(format, args...)) }

func (l *life) step(t *testing.T) {
	if l.rnd.IntN(4) == 0 {
		l.accident()
		return
	}
	actions := []string{"start", "start", "promote", "promote", "promote", "monitor", "probe", "demote", "stop", "notify", "reload-agent"}
	action := actions[l.rnd.IntN(len(actions))]
	fault := l.fault(action)
	code := l.act(action)
	killed := l.killed
	l.Clear()
	l.note("%s%s: %v, killed %v, left %v, said %s", action, fault, code, killed, l.Leftovers(), strings.TrimSpace(l.stderr))
	if killed {
		return
	}
	l.checkReason(t, action, code)
	if limit := timeout(action); l.took >= limit {
		t.Errorf("%s took %v of %v", action, l.took, limit)
	}
	if code != ocf.Success {
		return
	}
	switch action {
	case "promote":
		if !l.Serves() {
			t.Errorf("promoted, and does not serve")
		}
	case "demote", "stop":
		if l.NFSD.Threads != 4 { // another server
			l.clean(t)
		}
	}
}

// fault lets one call of the next action fail, hang, or be its last.
func (l *life) fault(action string) string {
	ops := l.labels[action]
	if len(ops) == 0 || l.rnd.IntN(3) > 0 {
		return ""
	}
	op, nth := ops[l.rnd.IntN(len(ops))], 1+l.rnd.IntN(3)
	switch l.rnd.IntN(4) {
	case 0:
		l.HangNth(op, nth)
		return fmt.Sprintf(" (%s hangs the %d. time)", op, nth)
	case 1:
		when := []hosttest.When{hosttest.Before, hosttest.During, hosttest.After}[l.rnd.IntN(3)]
		l.Kill(op, nth, when)
		return fmt.Sprintf(" (killed %s %s the %d. time)", when, op, nth)
	}
	l.FailNth(op, nth, errInjected)
	return fmt.Sprintf(" (%s fails the %d. time)", op, nth)
}

// accident is something that happens on the machine between two actions.
func (l *life) accident() {
	onVolume := l.Mounted(volume) == l.DRBD.Device()
	accidents := []struct {
		name string
		do   func()
	}{
		{"mountd killed", func() { l.Kill9("rpc.mountd") }},
		{"statd killed", func() { l.Kill9("rpc.statd") }},
		{"nfsdcld killed", func() { l.Kill9("nfsdcld") }},
		{"address dropped", func() { l.DropAddress(vip4) }},
		{"client connects", func() {
			if l.Serves() {
				l.Connect(vip4+":2049", fmt.Sprintf("192.168.2.99:%d", 700+l.rnd.IntN(100)))
				l.SetLockClient(stateDir, "client99")
			}
		}},
		{"process on the volume", func() {
			if onVolume {
				l.Spawn("bash", "cwd", volume).Stubborn = l.rnd.IntN(2) == 0
			}
		}},
		{"peer gone", func() { l.DRBD.LosePeer() }},
		{"peer back", func() {
			l.DRBD.Connection, l.DRBD.Replication, l.DRBD.PeerRole, l.DRBD.PeerDisk = "Connected", "Established", "Secondary", "UpToDate"
		}},
		{"I/O suspended", func() {
			if l.DRBD.Role == "Primary" {
				l.Suspend([]string{"quorum", "no-data", "fencing"}[l.rnd.IntN(3)])
			}
		}},
		{"I/O resumed", l.Resume},
		{"volume pinned", func() { l.Pinned = true }},
		{"volume free", func() { l.Pinned = false }},
		{"device held open", func() { l.DRBD.HeldOpen = true }},
		{"device free", func() { l.DRBD.HeldOpen = false }},
		{"another NFS server", func() {
			if l.NFSD.Threads == 0 && !onVolume {
				l.SetForeignNFSD(4)
			}
		}},
		{"no other NFS server", func() {
			if l.NFSD.Threads == 4 {
				l.SetThreads(0)
			}
		}},
		{"local disk failed", func() { l.DRBD.Disk = "Diskless" }},
		{"local disk back", func() { l.DRBD.Disk = "UpToDate" }},
		{"loss of power", func() { l.reboot() }},
		{"cluster started anew", func() { l.Parent += "0" }},
		{"parameters gone", func() { l.params = nil }},
		{"parameters back", func() { l.params = params() }},
	}
	a := accidents[l.rnd.IntN(len(accidents))]
	a.do()
	l.Violations() // an accident's own are no agent's
	l.note("%s", a.name)
}

// healed takes back the accidents that no action can mend.
func (l *life) healed() {
	l.Pinned, l.DRBD.HeldOpen, l.DRBD.Disk = false, false, "UpToDate"
	if l.NFSD.Threads == 4 {
		l.SetThreads(0)
	}
	l.note("healed")
}

// end is a stop and a new promotion, which must work after whatever happened.
func (l *life) end(t *testing.T) {
	l.params = params()
	l.healed()
	if l.act("stop") != ocf.Success && strings.Contains(l.stderr, "fence this node") {
		l.reboot()
		l.Resume()
	}
	for _, s := range []struct {
		action string
		code   ocf.Code
	}{{"stop", ocf.Success}, {"probe", ocf.NotRunning}, {"start", ocf.Success}, {"promote", ocf.Success}, {"monitor", ocf.RunningPromoted}, {"stop", ocf.Success}} {
		if got := l.act(s.action); got != s.code {
			t.Fatalf("at the end %s: got %v, want %v, said %s after:\n%s", s.action, got, s.code, l.stderr, strings.Join(l.log, "\n"))
		}
		if s.action == "stop" {
			l.clean(t)
		}
	}
	if v := l.Violations(); len(v) > 0 {
		t.Fatalf("%v after:\n%s", v, strings.Join(l.log, "\n"))
	}
}
