package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

var _ agent.System = (*hosttest.Host)(nil)

const (
	vip4     = "192.168.2.63"
	volume   = "/home/nfs"
	stateDir = volume + "/var/lib/nfs"
	runDir   = "/run/drbdnfs"
)

// params are a complete configuration for the node of hosttest.New.
func params() map[string]string {
	return map[string]string{
		"drbd_resource": "res0",
		"directory":     volume,
		"exports":       volume + "/user-data 192.168.2.0/24(rw,sync,no_root_squash)",
		"vips":          vip4 + "/24@ens3",
		"nfs_threads":   "8",
	}
}

// meta is what Pacemaker 2.1 tells every action of a promotable clone.
func meta() map[string]string {
	return map[string]string{
		"on_node": "drbdtest1", "clone": "0", "clone_max": "2", "clone_node_max": "1",
		"promoted_max": "1", "promoted_node_max": "1", "globally_unique": "false",
	}
}

// world is a node with an agent on it, and what its last action said.
type world struct {
	*hosttest.Host
	params map[string]string
	meta   map[string]string
	level  int
	stderr string
	stdout string
	killed bool
	took   time.Duration
}

// on runs fn with a new node, in a bubble in which time is fake.
func on(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fn(t, &world{Host: hosttest.New(t), params: params(), meta: meta()})
	})
}

// timeouts are those that meta-data advertises, monitors by their interval.
func timeout(action string) time.Duration {
	for _, a := range agent.Metadata().Actions {
		if a.Name == action {
			return a.Timeout
		}
	}
	return ocf.DefaultTimeout
}

// act runs one action as Pacemaker does. A monitor is a recurring one; "probe"
// is a monitor without an interval.
func (w *world) act(action string) ocf.Code {
	env := w.environ(action)
	if action == "probe" {
		action = "monitor"
	}
	var code ocf.Code
	var stdout, stderr bytes.Buffer
	start := time.Now()
	w.killed = w.Action(context.Background(), func(ctx context.Context) {
		a := agent.New(agent.Options{
			System: w.Host, Environ: env, Stdout: &stdout, Stderr: &stderr,
			Program: "/usr/lib/ocf/resource.d/spacei/drbdnfs",
		})
		code = a.Run(ctx, action)
	})
	w.took = time.Since(start)
	w.stdout, w.stderr = stdout.String(), stderr.String()
	return code
}

// reboot is a loss of power, and the boot after it with the unit that brings the
// node's own state directory back.
func (w *world) reboot() {
	w.Reboot()
	w.Violations()
	if err := w.agent().Background(context.Background(), "restore-state", "boot"); err != nil {
		panic(err)
	}
}

// agent is one outside of an action, with no environment.
func (w *world) agent() *agent.Agent {
	return agent.New(agent.Options{System: w.Host, Stdout: io.Discard, Stderr: io.Discard, Program: "/usr/lib/ocf/resource.d/spacei/drbdnfs"})
}

func (w *world) environ(action string) []string {
	env := []string{
		"OCF_RESOURCE_INSTANCE=nfs:0", "OCF_RESKEY_crm_feature_set=3.19.0",
		fmt.Sprintf("OCF_RESKEY_CRM_meta_timeout=%d", timeout(action).Milliseconds()),
	}
	if action == "monitor" {
		env = append(env, "OCF_RESKEY_CRM_meta_interval=10000")
	}
	if w.level > 0 {
		env = append(env, fmt.Sprintf("OCF_CHECK_LEVEL=%d", w.level))
	}
	for k, v := range w.params {
		env = append(env, "OCF_RESKEY_"+k+"="+v)
	}
	for k, v := range w.meta {
		env = append(env, "OCF_RESKEY_CRM_meta_"+k+"="+v)
	}
	return env
}

// want runs an action and fails the test unless it ends with code.
func (w *world) want(t *testing.T, action string, code ocf.Code) {
	t.Helper()
	if got := w.act(action); got != code {
		t.Fatalf("%s: got %v, want %v; it said %q; left: %v", action, got, code, w.stderr, w.Leftovers())
	}
	if limit := timeout(action); w.took >= limit {
		t.Errorf("%s took %v, its timeout is %v", action, w.took, limit)
	}
	w.checkReason(t, action, code)
}

// checkReason fails the test when a failure has no usable reason, or when
// something that is no failure has one.
func (w *world) checkReason(t *testing.T, action string, code ocf.Code) {
	t.Helper()
	line, ok := strings.CutPrefix(w.stderr, "ocf-exit-reason:")
	reason := strings.TrimSuffix(line, "\n")
	if w.stdout != "" && action != "meta-data" {
		t.Errorf("%s printed %q: only meta-data prints", action, w.stdout)
	}
	plain := code == ocf.Success || code == ocf.RunningPromoted || (code == ocf.NotRunning && w.stderr == "")
	switch {
	case plain && w.stderr != "":
		t.Errorf("%s ended with %v and said %q", action, code, w.stderr)
	case plain:
	case !ok || reason == "" || strings.Contains(reason, "\n") || len(reason) > ocf.MaxReason:
		t.Errorf("%s ended with %v, its reason is %q", action, code, w.stderr)
	}
}

// wantReason fails the test unless the last action's reason holds text.
func (w *world) wantReason(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(w.stderr, text) {
		t.Errorf("reason is %q, want one with %q", w.stderr, text)
	}
}

// started is a node after a start, promoted one after a promotion.
func (w *world) started(t *testing.T) { t.Helper(); w.want(t, "start", ocf.Success) }

func (w *world) promoted(t *testing.T) {
	t.Helper()
	w.started(t)
	w.want(t, "promote", ocf.Success)
	if !w.Serves() {
		t.Fatalf("promoted, and does not serve: %v", w.Leftovers())
	}
}

// clean fails the test when something of a promotion is left.
func (w *world) clean(t *testing.T) {
	t.Helper()
	if left := w.Leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func (w *world) did(op string) bool { return slices.Contains(w.Ops(), op) }
