package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/report"
)

const (
	flagJSON    = "json"
	flagStage   = "stage"
	flagYes     = "yes"
	flagNoSync  = "no-sync"
	flagTimeout = "timeout"
	flagReplace = "replace"
)

// changesPending is the exit status of a plan that has something to do.
const changesPending = 2

const setupDescription = `Every node runs its own setup with the same file, all at the same time: what one node has to do for all, the first
node of the file does, and they wait for each other where they must. Nothing is recorded: a run that was cut off is
continued by the next one, and a second run changes nothing.`

// setupCommand is "drbdnfs setup".
func setupCommand(c console) *cli.Command {
	jsonFlag := &cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object a line"}
	stageFlag := &cli.StringSliceFlag{Name: flagStage, Usage: "only this `STAGE`, may be repeated: host, linstor, drbdadm, filesystem, cluster, cib, sync"}
	yesFlag := &cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"}
	replaceFlag := &cli.BoolFlag{Name: flagReplace, Usage: "let the group take the place of hand-made resources in the CIB; clients wait as for a move"}
	cmd := group("setup", "make this node, and the group, as the configuration file has it",
		&cli.Command{
			Name:  "plan",
			Usage: "print what is there and what would be done; change nothing",
			Description: "Exit status: 0 nothing to do, 2 something to do, 1 an error, or something that a person has to decide first.\n" +
				"Marks: = in place, + made, ~ changed, … waited for, ? seen later, · done by another node, ! to know, x to decide first.",
			Flags:  []cli.Flag{jsonFlag, stageFlag, replaceFlag},
			Action: func(cc *cli.Context) error { return planAction(c, cc) },
		},
		&cli.Command{
			Name:        "apply",
			Usage:       "do it",
			Description: setupDescription,
			Flags: []cli.Flag{
				jsonFlag, stageFlag, replaceFlag, yesFlag,
				&cli.BoolFlag{Name: flagNoSync, Usage: "do not wait for the end of the first synchronisation; the group can be used meanwhile"},
				&cli.DurationFlag{Name: flagTimeout, Value: time.Hour, Usage: "give up after `TIME`; the synchronisation does not count"},
			},
			Action: func(cc *cli.Context) error { return applyAction(c, cc) },
		},
		&cli.Command{
			Name:        "remove",
			Usage:       "take back what setup has made on this node, but never data",
			Description: "What holds data stays, with the commands that would remove it. Run it on every node.",
			Flags:       []cli.Flag{jsonFlag, stageFlag, yesFlag},
			Action:      func(cc *cli.Context) error { return removeAction(c, cc) },
		},
	)
	cmd.Description = setupDescription
	return cmd
}

// shown is what shows plans and steps: text or JSON.
type shown interface {
	setup.Reporter
	Plan(node string, p setup.Plan)
}

func newShown(c console, cc *cli.Context, cfg *config.Config) shown {
	if cc.Bool(flagJSON) {
		return report.NewJSON(c.out, cfg.At)
	}
	return report.NewText(c.out, report.Options{Terminal: terminal(c.out), At: cfg.At})
}

// lookLimit bounds the look at all stages: a tool that hangs, as crm_mon on a sick
// cluster, must not hang setup.
const lookLimit = 3 * time.Minute

// removeLimit bounds a removal, which waits for the group to stop.
const removeLimit = time.Hour

// lockFile is held by whoever changes this node.
const lockFile = "/run/drbdnfs/setup.lock"

// job is one run of a setup command.
type job struct {
	host   *host.Host
	cfg    *config.Config
	self   string
	stages []setup.Stage
	show   shown
}

func newJob(c console, cc *cli.Context) (*job, error) {
	if err := noArguments(cc); err != nil {
		return nil, err
	}
	cfg, err := load(cc)
	if err != nil {
		return nil, err
	}
	h, log := newHost(c, cc)
	self, err := nodeName(h, cc, cfg)
	if err != nil {
		return nil, err
	}
	stages, err := pick(newStages(h, cfg, self, cc.Bool(flagReplace), log), cc.StringSlice(flagStage))
	return &job{host: h, cfg: cfg, self: self, stages: stages, show: newShown(c, cc, cfg)}, err
}

// nodeName is this machine's name, which has to be a node of the configuration.
func nodeName(h *host.Host, cc *cli.Context, cfg *config.Config) (string, error) {
	self, err := h.Hostname()
	if err != nil {
		return "", fmt.Errorf("ask for this node's name: %w", err)
	}
	if _, ok := cfg.Node(self); !ok {
		return "", fmt.Errorf("this machine is called %q, which %s does not have: node.name is what uname -n prints", self, configFile(cc))
	}
	return self, nil
}

// pick returns the stages with the given names, all without names.
func pick(all []setup.Stage, names []string) ([]setup.Stage, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []setup.Stage
	var known []string
	for _, s := range all {
		known = append(known, s.Name())
		if slices.Contains(names, s.Name()) {
			out = append(out, s)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, usageError("--stage %s: this configuration has %s", n, strings.Join(known, ", "))
		}
	}
	return out, nil
}

func planAction(c console, cc *cli.Context) error {
	j, err := newJob(c, cc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cc.Context, lookLimit)
	defer cancel()
	plan, err := setup.Look(ctx, j.stages)
	if err != nil {
		return err
	}
	j.show.Plan(j.self, plan)
	switch {
	case plan.Refused() != nil:
		return cli.Exit("", 1)
	case plan.Pending() > 0:
		return cli.Exit("", changesPending)
	}
	return nil
}

func applyAction(c console, cc *cli.Context) error {
	j, unlock, err := begin(c, cc, setup.Look)
	if err != nil {
		return err
	}
	defer unlock()
	before, sync := split(j.stages)
	ctx, cancel := context.WithTimeout(cc.Context, cc.Duration(flagTimeout))
	defer cancel()
	n, err := setup.Apply(ctx, before, j.show)
	if err != nil {
		return goOn(err, "apply")
	}
	if len(sync) > 0 && !cc.Bool(flagNoSync) {
		more, err := setup.Apply(cc.Context, sync, j.show)
		if n += more; err != nil {
			return goOn(err, "apply")
		}
	}
	if !cc.Bool(flagJSON) {
		closing(c, j, n)
	}
	return nil
}

func removeAction(c console, cc *cli.Context) error {
	j, unlock, err := begin(c, cc, setup.LookRemove)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(cc.Context, removeLimit)
	defer cancel()
	if _, err := setup.Remove(ctx, j.stages, j.show); err != nil {
		return goOn(err, "remove")
	}
	return nil
}

// begin looks, asks, and takes the lock. Until unlock nobody else changes this
// node by setup.
func begin(c console, cc *cli.Context, look func(context.Context, []setup.Stage) (setup.Plan, error)) (j *job, unlock func(), err error) {
	if j, err = newJob(c, cc); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(cc.Context, lookLimit)
	defer cancel()
	plan, err := look(ctx, j.stages)
	if err != nil {
		return nil, nil, err
	}
	if err := agreed(c, cc, j, plan); err != nil {
		return nil, nil, err
	}
	unlock, err = j.lock(cc.Context)
	return j, unlock, err
}

// lock keeps a second run from this node until unlock, or says that there is
// one.
func (j *job) lock(ctx context.Context) (unlock func(), err error) {
	if err := j.host.MkdirAll("setup.run", filepath.Dir(lockFile), 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if unlock, err = j.host.Lock(ctx, lockFile); err != nil {
		return nil, fmt.Errorf("another drbdnfs setup works on this node: %w", err)
	}
	return unlock, nil
}

// split parts the synchronisation, which may take days, from the rest.
func split(stages []setup.Stage) (before, sync []setup.Stage) {
	for _, s := range stages {
		if s.Name() == setup.Sync {
			sync = append(sync, s)
		} else {
			before = append(before, s)
		}
	}
	return before, sync
}

// goOn adds to an error how to go on after it.
func goOn(err error, command string) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w\nwhat was done stays; run drbdnfs setup %s again to wait longer", err, command)
	}
	return fmt.Errorf("%w\nwhat was done stays; put this right and run drbdnfs setup %s again", err, command)
}

// closing says what is left for a person after everything was done.
func closing(c console, j *job, n int) {
	if n == 0 {
		fmt.Fprintf(c.out, "\n%s: nothing to do\n", j.self)
		return
	}
	fmt.Fprintf(c.out, "\n%s: done\n", j.self)
	if j.cfg.First().Name != j.self {
		return
	}
	addr, _, _ := strings.Cut(j.cfg.VIPs[0].Address, "/")
	if strings.Contains(addr, ":") {
		addr = "[" + addr + "]"
	}
	fmt.Fprintln(c.out, "clients mount with, in /etc/fstab:")
	for _, e := range j.cfg.Exports {
		fmt.Fprintf(c.out, "%s:%s /mnt nfs rw,hard,noatime,vers=%s 0 0\n", addr, e.Path, j.cfg.NFS.Versions[0])
	}
}

// agreed shows the plan and asks, where there is something to ask about. It
// returns the error to end with when nothing is to be done.
func agreed(c console, cc *cli.Context, j *job, plan setup.Plan) error {
	if plan.Refused() != nil {
		j.show.Plan(j.self, plan)
		return cli.Exit("", 1)
	}
	if plan.Pending() == 0 || cc.Bool(flagYes) {
		return nil
	}
	if cc.Bool(flagJSON) || !terminal(c.in) {
		return usageError("nobody can be asked here: look at drbdnfs setup plan, then run this with --yes")
	}
	j.show.Plan(j.self, plan)
	fmt.Fprint(c.out, "go on? [y/N] ")
	answer, _ := bufio.NewReader(c.in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return cli.Exit("nothing was changed", 1)
	}
	return nil
}
