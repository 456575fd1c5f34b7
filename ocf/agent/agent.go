package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// System is what the agent needs of the machine beyond what the group does.
type System interface {
	group.System
	Lock(ctx context.Context, path string) (unlock func(), err error)
	ParentIdentity() string
	KillSelf()
}

var _ System = (*host.Host)(nil)

// Options are what New needs.
type Options struct {
	System  System
	Log     *slog.Logger   // nil discards
	Level   *slog.LevelVar // of Log; the log_level parameter sets it; may be nil
	Environ []string       // os.Environ()
	Stdout  io.Writer      // meta-data goes here and nothing else
	Stderr  io.Writer      // exit reason and usage go here
	Program string         // absolute path of this program, for what it starts in the background

	Notify func(notice.Notice) error // is told of each action that has ended, and must not wait; nil tells nobody
}

// Agent runs one action.
type Agent struct {
	sys     System
	log     *slog.Logger
	level   *slog.LevelVar
	env     ocf.Env
	stdout  io.Writer
	stderr  io.Writer
	program string
	inform  func(notice.Notice) error
}

// New returns an agent for the environment of o. It looks at nothing yet.
func New(o Options) *Agent {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Level == nil {
		o.Level = new(slog.LevelVar)
	}
	return &Agent{
		sys: o.System, log: o.Log, level: o.Level, env: ocf.ParseEnv(o.Environ),
		stdout: o.Stdout, stderr: o.Stderr, program: o.Program, inform: o.Notify,
	}
}

// action is one entry of the table of actions.
type action struct {
	run func(*Agent, context.Context) error
	// free actions take no lock: they use nothing that another could change,
	// or must answer at once.
	free bool
}

var actionTable = map[string]action{
	"start":        {run: (*Agent).start},
	"stop":         {run: (*Agent).stop},
	"promote":      {run: (*Agent).promote},
	"demote":       {run: (*Agent).demote},
	"monitor":      {run: (*Agent).monitor},
	"status":       {run: (*Agent).monitor},
	"notify":       {run: (*Agent).notify, free: true},
	"reload-agent": {run: (*Agent).reload},
	"validate-all": {run: (*Agent).validate, free: true},
}

// Run runs the action called name and returns the exit code for it, having
// written the exit reason to standard error and the rest to the log. It ends
// before Pacemaker's timeout does, as far as the kernel lets it.
func (a *Agent) Run(ctx context.Context, name string) ocf.Code {
	if name == "meta-data" {
		if _, err := io.WriteString(a.stdout, Metadata().XML()); err != nil {
			return ocf.ErrGeneric
		}
		return ocf.Success
	}
	act, ok := actionTable[name]
	if !ok {
		fmt.Fprintf(a.stderr, "usage: drbdnfs {start|stop|promote|demote|monitor|notify|reload-agent|validate-all|meta-data}\n")
		return ocf.ErrUnimplemented
	}
	ctx, cancel := context.WithTimeout(ctx, a.env.Budget())
	defer cancel()
	start := time.Now()
	err := a.run(ctx, name, act)
	code := ocf.CodeOf(err)
	dur := time.Since(start)
	a.report(name, code, err, dur)
	a.tell(name, code, dur)
	return code
}

func (a *Agent) run(ctx context.Context, name string, act action) error {
	if !act.free && !a.probe(name) {
		unlock, err := a.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
	}
	return act.run(a, ctx)
}

// lock keeps two actions of one instance apart: Pacemaker kills an action that
// exceeds its timeout, and what it leaves behind can still be busy when the
// next one starts.
func (a *Agent) lock(ctx context.Context) (func(), error) {
	if err := a.sys.MkdirAll("run.dir", group.RunDir, 0o700); err != nil {
		return nil, err
	}
	return a.sys.Lock(ctx, group.RunDir+"/"+a.env.Instance+".lock")
}

// report says what came of an action. Codes that only tell a state are no
// failures and get no exit reason, except the degraded ones, which carry why.
func (a *Agent) report(name string, code ocf.Code, err error, dur time.Duration) {
	log := a.log.With("action", name, "code", int(code), "dur", dur.Round(time.Millisecond))
	var state *stateCode
	switch {
	case err == nil, errors.As(err, &state) && state.reason == "":
		log.Debug("action ended")
		return
	case code == ocf.Degraded || code == ocf.DegradedPromoted:
		log.Warn("degraded", "err", err)
	default:
		log.Error("action failed", "err", err)
	}
	fmt.Fprintln(a.stderr, ocf.ExitReasonLine(a.env.ReasonPrefix, err))
}

// stateCode is a monitor's answer. It is an error so that every action has one
// signature, and only a failure when it has a reason.
type stateCode struct {
	code   ocf.Code
	reason string
}

func (s *stateCode) Error() string { return s.reason }

// answer returns what CodeOf turns into code.
func answer(code ocf.Code, reasons ...string) error {
	if code == ocf.Success && len(reasons) == 0 {
		return nil
	}
	reason := strings.Join(reasons, "; ")
	return &ocf.Error{Code: code, Err: &stateCode{code: code, reason: reason}}
}

// open builds the group from the parameters of the environment or, where
// those are missing or wrong and fallback is set, from those of the last start
// on this node.
func (a *Agent) open(fallback bool) (*group.Group, Config, error) {
	params := a.env.Params
	cfg, err := ParseParams(a.env.Instance, params)
	if err != nil && fallback {
		rec, recErr := group.LoadRecord(a.sys, a.env.Instance)
		if recErr == nil && len(rec.Params) > 0 {
			a.log.Warn("parameters are unusable, using those of the last start", "err", err)
			params = rec.Params
			cfg, err = ParseParams(a.env.Instance, params)
		}
	}
	if err != nil {
		return nil, cfg, ocf.Errorf(ocf.ErrConfigured, "%w", err)
	}
	g, err := a.newGroup(cfg, params)
	return g, cfg, err
}

func (a *Agent) newGroup(cfg Config, params map[string]string) (*group.Group, error) {
	a.level.Set(cfg.LogLevel)
	return group.New(group.Options{
		System: a.sys, Log: a.log, Config: cfg.Group, Params: params,
		Program: a.program, Boundary: a.faultPoint,
	})
}

// FaultPointPath is where a test says at which step boundary the agent is to
// be killed: "ACTION STEP before|after". Only root can write there, and root
// could kill it as well.
const FaultPointPath = group.RunDir + "/faultpoint"

// faultPoint ends this process by SIGKILL when a test asked for it at this
// boundary, as a timeout of Pacemaker would. The request is used up.
func (a *Agent) faultPoint(action, step, when string) {
	data, err := a.sys.ReadFile(FaultPointPath)
	if err != nil || strings.TrimSpace(string(data)) != action+" "+step+" "+when {
		return
	}
	if err := a.sys.Remove("faultpoint", FaultPointPath); err != nil {
		a.log.Error("fault point stays", "err", err)
		return
	}
	a.log.Error("killed at fault point", "action", action, "step", step, "when", when)
	a.sys.KillSelf()
}

// StepNames lists the steps of "promote" or "demote" in order, as fault points
// name them.
func StepNames(action string) []string {
	cfg, err := ParseParams("names", map[string]string{
		"drbd_resource": "r", "directory": "/d", "exports": "/d/e *(ro)", "vips": "192.0.2.1/24",
	})
	if err != nil {
		panic("agent: the smallest parameters are refused: " + err.Error())
	}
	g, err := group.New(group.Options{System: host.New(nil), Config: cfg.Group})
	if err != nil {
		panic("agent: " + err.Error())
	}
	return g.StepNames(action)
}

// IsBackground reports whether word is a task of [Agent.Background].
func IsBackground(word string) bool {
	return word == "announce" || word == "save-peers" || word == "restore-state"
}

// Background runs what the agent starts in units of its own: "announce" and
// "save-peers", for instance, with the parameters of its record; and
// "restore-state", which the boot runs for all instances.
func (a *Agent) Background(ctx context.Context, what, instance string) error {
	if what == "restore-state" {
		restored, err := nfs.RestoreLocal(a.sys)
		if restored {
			a.log.Info("NFS state leads to this node's own copy again", "action", what)
		}
		return err
	}
	rec, err := group.LoadRecord(a.sys, instance)
	if err != nil {
		return err
	}
	cfg, err := ParseParams(instance, rec.Params)
	if err != nil {
		return fmt.Errorf("parameters of %s: %w", instance, err)
	}
	g, err := a.newGroup(cfg, rec.Params)
	if err != nil {
		return err
	}
	switch what {
	case "announce":
		return g.KeepAnnouncing(ctx)
	case "save-peers":
		return g.SavePeers(ctx)
	}
	return fmt.Errorf("no such task: %s", what)
}
