package agent_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// tell runs an action as [world.act] does, and returns the notices that were
// sent, each of which is answered with err.
func (w *world) tell(action string, err error) (told []notice.Notice, code ocf.Code, stderr string) {
	env := w.environ(action)
	if action == "probe" {
		action = "monitor"
	}
	var stdout, errout bytes.Buffer
	w.Action(context.Background(), func(ctx context.Context) {
		a := agent.New(agent.Options{
			System: w.Host, Environ: env, Stdout: &stdout, Stderr: &errout, Program: "/usr/lib/ocf/resource.d/spacei/drbdnfs",
			Notify: func(n notice.Notice) error {
				told = append(told, n)
				return err
			},
		})
		code = a.Run(ctx, action)
	})
	return told, code, errout.String()
}

// Ensure that the daemon is told once of each action that has ended, well or
// badly, with what its metrics need, and of nothing that only asks.
func TestNotice(t *testing.T) {
	tests := []struct {
		action string
		level  int
		fault  string // label of a call that fails
		told   bool
		code   ocf.Code
	}{
		{action: "start", told: true},
		{action: "promote", told: true},
		{action: "monitor", told: true, code: ocf.RunningPromoted},
		{action: "monitor", level: 10, told: true, code: ocf.RunningPromoted},
		{action: "probe", code: ocf.RunningPromoted},
		{action: "notify", told: true},
		{action: "reload-agent", told: true},
		{action: "validate-all"},
		{action: "meta-data"},
		{action: "no-such-action", code: ocf.ErrUnimplemented},
		{action: "demote", told: true},
		{action: "promote", fault: "mount.mount", told: true, code: ocf.ErrGeneric},
		{action: "stop", told: true},
	}
	on(t, func(t *testing.T, w *world) {
		for _, tt := range tests {
			w.level = tt.level
			if tt.fault != "" {
				w.FailOnce(tt.fault, errors.New("broken"))
			}
			begin := time.Now()
			told, code, _ := w.tell(tt.action, nil)
			took := time.Since(begin)
			if code != tt.code {
				t.Fatalf("%s: got %v, want %v", tt.action, code, tt.code)
			}
			var want []notice.Notice
			if tt.told {
				want = []notice.Notice{{Node: "drbdtest1", When: time.Now().UTC(), Action: &notice.Action{
					Group: "nfs", Name: tt.action, Level: tt.level, Code: int(tt.code), DurationMS: took.Milliseconds(),
				}}}
			}
			if diff := cmp.Diff(want, told, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tt.action+" "+strconv.Itoa(tt.level), diff)
			}
		}
	})
}

// Ensure that an action is the same whether the daemon can be told or not.
func TestNoticeFails(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		for _, action := range []string{"start", "promote", "demote", "stop"} {
			told, code, stderr := w.tell(action, errors.New("nobody listens"))
			if code != ocf.Success || stderr != "" || len(told) != 1 {
				t.Errorf("%s: %v, %q, %d notices", action, code, stderr, len(told))
			}
		}
	})
}
