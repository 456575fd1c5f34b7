package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Scenario is one end-to-end test.
type Scenario struct {
	Name    string
	Summary string
	// ByName scenarios run only when they are named.
	ByName bool
	// Limit bounds the whole run.
	Limit time.Duration
	Run   func(ctx context.Context, t *T) error
}

// ErrSkip is returned (wrapped, with the reason) by a scenario that cannot run
// in this lab.
var ErrSkip = errors.New("skipped")

// All lists the scenarios in the order in which they run.
func All() []Scenario {
	list := []Scenario{
		{Name: "bring-up", Summary: "from blank disks, by drbdnfs setup, to clients that mount, read, write and lock", Limit: 15 * time.Minute, Run: bringUp},
		{Name: "setup-again", Summary: "a second drbdnfs setup apply changes nothing", Limit: 15 * time.Minute, Run: setupAgain},
		// Before the scenarios that replace what setup has made.
		{Name: "split-brain-manual", Summary: "a split brain is found on both nodes, held, remembered, and resolved by hand", Limit: 20 * time.Minute, Run: splitManual},
		{Name: "crash", Summary: "the active node is killed under load", Limit: 15 * time.Minute, Run: crash},
		{Name: "move", Summary: "standby of the active node under load, and back", Limit: 10 * time.Minute, Run: move},
		{Name: "locks", Summary: "byte-range locks survive crash and move", Limit: 15 * time.Minute, Run: locks},
		{Name: "monitor-recovers", Summary: "each broken part is seen and repaired without fencing", Limit: 15 * time.Minute, Run: monitorRecovers},
		{Name: "stop-busy", Summary: "stop with processes in the mount", Limit: 10 * time.Minute, Run: stopBusy},
		{Name: "killed-action", Summary: "the agent is killed at each step of promote and demote", Limit: 30 * time.Minute, Run: killedAction},
		{Name: "probe-bare", Summary: "probes on nodes without packages, configuration or with leftovers", Limit: 10 * time.Minute, Run: probeBare},
		{Name: "ocf-tester", Summary: "the resource-agents package's own conformance test", Limit: 10 * time.Minute, Run: ocfTester},
	}
	list = append(list, splitScenarios()...)
	list = append(list, setupScenarios()...)
	return append(
		list,
		Scenario{Name: "procedure", Summary: "the hand-made configuration and ours under the same load", ByName: true, Limit: 60 * time.Minute, Run: procedure},
		Scenario{Name: "operate", ByName: true, Summary: "status, move, failback, standby, check, exports, grow, bundle and the status page, by command", Limit: 15 * time.Minute, Run: operate},
		Scenario{Name: "migration", Summary: "the hand-made configuration is taken over under load", ByName: true, Limit: 30 * time.Minute, Run: migration},
		Scenario{Name: "docs", Summary: "every command of README and docs is run and prints what is shown", ByName: true, Limit: 3 * time.Hour, Run: docs},
		Scenario{Name: "soak", Summary: "random crash, move and killed-action rounds", ByName: true, Limit: 6 * time.Hour, Run: soak},
	)
}

// Select returns the scenarios with the given names; none means all that do not
// need to be named, "all" means all.
func Select(names []string) ([]Scenario, error) {
	known := All()
	var chosen []Scenario
	if len(names) == 0 {
		for _, s := range known {
			if !s.ByName {
				chosen = append(chosen, s)
			}
		}
		return chosen, nil
	}
	if len(names) == 1 && names[0] == "all" {
		return known, nil
	}
	for _, n := range names {
		found := false
		for _, s := range known {
			if s.Name == n {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario %q; there are: %s", n, strings.Join(scenarioNames(known), " "))
		}
	}
	return chosen, nil
}

func scenarioNames(list []Scenario) []string {
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names
}

// Env is what scenarios run in. Make it with NewEnv.
type Env struct {
	Rig     *rig.Rig
	Cluster *cluster.Cluster
	Out     io.Writer
	// Rounds is the number of rounds of soak and procedure; 0 is what each
	// usually does.
	Rounds int
	// deployed is set once this run has put its agent and tools on the machines.
	deployed bool
}

// NewEnv returns an environment on r that reports to out.
func NewEnv(r *rig.Rig, out io.Writer) *Env {
	return &Env{Rig: r, Cluster: cluster.New(r), Out: out}
}

// T is one run of a scenario: it collects failed checks and what to clean up.
type T struct {
	*Env
	Name    string
	begin   time.Time
	failed  []string
	cleanup []func(context.Context)
	// clientClock is how far the client's clock is ahead, once measured.
	clientClock *time.Duration
	// discards is how often each node has discarded data so far.
	discards map[string]int
}

// Logf prints a line below the scenario's name.
func (t *T) Logf(format string, args ...any) {
	fmt.Fprintf(t.Out, "    %6.1fs %s\n", time.Since(t.begin).Seconds(), fmt.Sprintf(format, args...))
}

// Check notes a failure when ok is false and lets the scenario go on. It returns ok.
func (t *T) Check(ok bool, format string, args ...any) bool {
	if !ok {
		t.failed = append(t.failed, fmt.Sprintf(format, args...))
		t.Logf("CHECK FAILED: "+format, args...)
	}
	return ok
}

// Cleanup runs f after the scenario, the last one first, also when it failed.
func (t *T) Cleanup(f func(context.Context)) { t.cleanup = append(t.cleanup, f) }

// runCleanups runs what Cleanup has noted, the last one first, and forgets it.
func (t *T) runCleanups(ctx context.Context) {
	for _, f := range slices.Backward(t.cleanup) {
		f(ctx)
	}
	t.cleanup = nil
}

// RunAll runs scenarios and prints their results in the manner of go test; the
// last line is "N passed, N failed, N skipped". It returns the number that failed.
func (e *Env) RunAll(ctx context.Context, list []Scenario) int {
	passed, failed, skipped := 0, 0, 0
	for _, s := range list {
		if ctx.Err() != nil {
			failed++
			fmt.Fprintf(e.Out, "--- FAIL: %s (0.0s): %v\n", s.Name, ctx.Err())
			continue
		}
		fmt.Fprintf(e.Out, "=== RUN  %s: %s\n", s.Name, s.Summary)
		begin := time.Now()
		err := e.runOne(ctx, s)
		took := time.Since(begin).Seconds()
		switch {
		case err == nil:
			passed++
			fmt.Fprintf(e.Out, "--- PASS: %s (%.1fs)\n", s.Name, took)
		case errors.Is(err, ErrSkip):
			skipped++
			fmt.Fprintf(e.Out, "--- SKIP: %s (%.1fs): %v\n", s.Name, took, err)
		default:
			failed++
			fmt.Fprintf(e.Out, "    %s\n", strings.ReplaceAll(err.Error(), "\n", "\n    "))
			fmt.Fprintf(e.Out, "    what the machines say is in %s\n", e.Collect(context.WithoutCancel(ctx), s.Name))
			fmt.Fprintf(e.Out, "--- FAIL: %s (%.1fs)\n", s.Name, took)
		}
	}
	fmt.Fprintf(e.Out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return failed
}

func (e *Env) runOne(ctx context.Context, s Scenario) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	t := &T{Env: e, Name: s.Name, begin: time.Now()}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		// The evidence of a failure is collected by the caller after this, so
		// cleanups must not wipe logs.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		t.runCleanups(clean)
	}()
	if err := s.Run(ctx, t); err != nil {
		return errors.Join(append([]error{err}, failures(t.failed)...)...)
	}
	return errors.Join(failures(t.failed)...)
}

func failures(lines []string) []error {
	var errs []error
	for _, l := range lines {
		errs = append(errs, errors.New(l))
	}
	return errs
}

// collectScript prints everything about a machine that explains a failure.
const collectScript = `exec 2>&1
for c in "crm_mon --one-shot --show-detail --inactive --failcounts --show-node-attributes" "cat /proc/drbd" "drbdsetup status --verbose" "cat /proc/self/mountinfo" \
 "ip address" "nft list ruleset" "cat /proc/fs/nfsd/threads" "exportfs -v" "ls -la /var/lib/nfs /var/lib/ /run/drbdnfs" "head -c 4000 /run/drbdnfs/*" "systemctl --no-pager list-units drbdnfs* nfs* rpc*" "rpcinfo -p" "ss -tanp" "ps axo pid,ppid,stat,wchan:20,etime,args" "cibadmin -Q" "uptime"
do echo; echo "##### $c"; timeout 20 $c; done
echo; echo "##### dmesg"; dmesg | tail -n 300
echo; echo "##### journal"; journalctl -q --no-pager -o short-precise -n 6000`

// Collect saves the journals, states and consoles of all machines and returns the
// folder.
func (e *Env) Collect(ctx context.Context, name string) string {
	dir := filepath.Join(e.Rig.Dir, "logs", time.Now().Format("20060102-150405-")+name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for _, m := range rig.Machines() {
		if b, err := os.ReadFile(e.Rig.SerialLog(m.Name)); err == nil {
			_ = os.WriteFile(filepath.Join(dir, m.Name+"-serial.log"), b, 0o600)
		}
		text := "not running\n"
		if e.Rig.Running(m.Name) {
			out, err := e.Rig.SSH(ctx, m.Name, collectScript)
			text = out
			if err != nil {
				text += "\n" + err.Error() + "\n"
			}
		}
		_ = os.WriteFile(filepath.Join(dir, m.Name+".txt"), []byte(text), 0o600)
	}
	return dir
}
