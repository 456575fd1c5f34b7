package agent_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
)

// errInjected is what a call that a test makes to fail fails with.
var errInjected = errors.New("injected")

// rich is a node that has served before: two addresses, two exports, clients
// with connections and with locks, and a process with its cwd on the volume.
// prepare brings it to where action is due.
func rich(t *testing.T, w *world, action string) {
	t.Helper()
	w.params["vips"] = vip4 + "/24@ens3, fd00:2::63/64"
	w.params["exports"] = volume + "/user-data 192.168.2.0/24(rw,sync,no_root_squash) 10.0.0.0/8(ro); " +
		volume + "/more-data *(rw)"
	if action == "start" {
		return
	}
	w.promoted(t)
	w.clients(t)
	if action == "promote" {
		w.want(t, "demote", ocf.Success)
	}
}

// clients connect to the node that serves, take locks, and a monitor saves
// who they are.
func (w *world) clients(t *testing.T) {
	t.Helper()
	w.Connect(vip4+":2049", "192.168.2.99:701")
	w.Connect(vip4+":2049", "192.168.2.98:702")
	w.SetLockClient(stateDir, "client99")
	w.Spawn("bash", "cwd", volume+"/user-data")
	w.want(t, "monitor", ocf.RunningPromoted)
}

// call is one call of an action: the nth with its label.
type call struct {
	op  string
	nth int
}

// callsOf lists the calls of action on a node where nothing fails, and those
// among them that can hang.
func callsOf(t *testing.T, action string) (calls []call, canHang map[string]bool) {
	t.Helper()
	canHang = map[string]bool{}
	on(t, func(t *testing.T, w *world) {
		rich(t, w, action)
		w.want(t, action, ocf.Success)
		seen := map[string]int{}
		for _, op := range w.Ops() {
			seen[op]++
			calls = append(calls, call{op, seen[op]})
			canHang[op] = w.CanHang(op)
		}
	})
	if len(calls) == 0 {
		t.Fatal("no calls")
	}
	return calls, canHang
}

var matrixActions = []string{"start", "promote", "demote", "stop"}

// Ensure that an action one of whose calls fails, once or every time, either
// does its work all the same or says why not; that a promotion that failed
// leaves nothing behind; and that the next stop ends clean.
func TestEachCallFails(t *testing.T) {
	t.Parallel()
	for _, action := range matrixActions {
		calls, _ := callsOf(t, action)
		for _, c := range calls {
			t.Run(fmt.Sprintf("%s/%s/%d", action, c.op, c.nth), func(t *testing.T) {
				on(t, func(t *testing.T, w *world) {
					rich(t, w, action)
					w.FailNth(c.op, c.nth, errInjected)
					w.endsKnown(t, action, true)
				})
			})
			if c.nth > 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s/always", action, c.op), func(t *testing.T) {
				on(t, func(t *testing.T, w *world) {
					rich(t, w, action)
					w.Fail(c.op, errInjected)
					w.endsKnown(t, action, false)
				})
			})
		}
	}
}

// Ensure the same for each look at the machine that fails, once or every time.
func TestEachLookFails(t *testing.T) {
	t.Parallel()
	for _, action := range matrixActions {
		var looks []string
		on(t, func(t *testing.T, w *world) {
			rich(t, w, action)
			w.want(t, action, ocf.Success)
			looks = w.Looks()
		})
		slices.Sort(looks)
		for _, what := range slices.Compact(looks) {
			if strings.HasPrefix(what, "program ") || strings.HasPrefix(what, "unit ") {
				continue // there or not, no accident
			}
			for _, once := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/once=%v", action, strings.ReplaceAll(what, "/", "_"), once), func(t *testing.T) {
					on(t, func(t *testing.T, w *world) {
						rich(t, w, action)
						if once {
							w.FailOnce(what, errInjected)
						} else {
							w.Fail(what, errInjected)
						}
						w.endsKnown(t, action, once)
					})
				})
			}
		}
	}
}

// endsKnown runs an action with faults and checks what must hold after it.
func (w *world) endsKnown(t *testing.T, action string, once bool) {
	t.Helper()
	code := w.act(action)
	if limit := timeout(action); w.took >= limit {
		t.Errorf("%s took %v, its timeout is %v", action, w.took, limit)
	}
	w.checkReason(t, action, code)
	switch {
	case code == ocf.Success:
		w.hasReached(t, action)
	case code != ocf.ErrGeneric:
		t.Errorf("%s ended with %v: an accident is no verdict on the node or the configuration", action, code)
	case action == "promote" && once:
		w.clean(t)
	}
	w.Clear()
	w.want(t, "stop", ocf.Success)
	w.hasReached(t, "stop")
}

// hasReached fails the test unless the node is where action ends.
func (w *world) hasReached(t *testing.T, action string) {
	t.Helper()
	if action == "promote" {
		if !w.Serves() {
			t.Errorf("promote ended well and nobody is served: %v", w.Leftovers())
		}
		return
	}
	w.clean(t)
	if up := action != "stop"; w.DRBD.Up != up {
		t.Errorf("after %s: DRBD up is %v", action, w.DRBD.Up)
	}
	if to := w.Resolve("/var/lib/nfs"); to != "/var/lib/nfs.local" && to != "/var/lib/nfs" {
		t.Errorf("after %s: /var/lib/nfs leads to %q", action, to)
	}
	if _, left := w.File(runDir + "/nfs.json"); left && action == "stop" {
		t.Error("the record outlives the stop")
	}
}

// Ensure that an action one of whose calls never returns by itself ends before
// its timeout, and that the next stop ends clean.
func TestEachCallHangs(t *testing.T) {
	t.Parallel()
	for _, action := range matrixActions {
		_, canHang := callsOf(t, action)
		for op, can := range canHang {
			if !can {
				continue
			}
			t.Run(action+"/"+op+"/hang", func(t *testing.T) {
				on(t, func(t *testing.T, w *world) {
					rich(t, w, action)
					w.Hang(op)
					w.endsKnown(t, action, false)
				})
			})
		}
	}
}
