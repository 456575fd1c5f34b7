package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/switchover"
)

const flagForce = "force"

const moveDescription = `It asks nothing: what would lose data is refused before anything is touched, and a refusal says whether --force goes on
all the same. Each step is shown as it happens. It ends when NFS is answered through each service address by the new
node, and says how long it was not, seen from this node. Nothing stays in Pacemaker's configuration. When the target
fails, the service is brought back.

Exit status: 0 done, or as asked for already; 1 refused, or not done and the service runs where it says; 2 not done and
nobody is seen to serve, or wrong usage.`

// switchCommands are move, failback, standby and unstandby.
func switchCommands(c console) []*cli.Command {
	command := func(action switchover.Action, usage, args, about string) *cli.Command {
		return &cli.Command{
			Name: string(action), Usage: usage, ArgsUsage: args, Description: about + "\n\n" + moveDescription, Flags: switchFlags(),
			Action: func(cc *cli.Context) error { return switchAction(c, cc, action) },
		}
	}
	return []*cli.Command{
		command(switchover.Move, "move the service to another node", "[NODE]",
			"NODE may be left out where only one other node can serve."),
		command(switchover.Failback, "move the service to where it belongs", "",
			"That is pacemaker.preferred of the configuration, or else the node that served before."),
		command(switchover.Standby, "let a node run nothing, and move the service away from it first", "[NODE]",
			"NODE is this node by default. The standby lasts until drbdnfs unstandby, also over a reboot."),
		command(switchover.Unstandby, "let a node run resources again", "[NODE]",
			"NODE is this node by default."),
	}
}

func switchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: flagForce, Usage: "override the refusals that say so; none of them is about data"},
		&cli.BoolFlag{Name: flagDryRun, Usage: "print what would be done; change nothing"},
		&cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object a line"},
		&cli.DurationFlag{Name: flagTimeout, Value: 5 * time.Minute, Usage: "stop waiting, and take back what was asked for, after `TIME`"},
	}
}

// switchRequest reads the command line.
func switchRequest(cc *cli.Context, action switchover.Action) (switchover.Request, error) {
	if action == switchover.Failback {
		if err := noArguments(cc); err != nil {
			return switchover.Request{}, err
		}
	}
	if cc.NArg() > 1 {
		return switchover.Request{}, usageError("%s takes one node, found %q", action, cc.Args().Get(1))
	}
	timeout := cc.Duration(flagTimeout)
	if timeout < 10*time.Second || timeout > time.Hour {
		return switchover.Request{}, usageError("--timeout %s: use a time from 10s to 1h", timeout)
	}
	return switchover.Request{
		Action: action, Node: cc.Args().First(), Force: cc.Bool(flagForce), DryRun: cc.Bool(flagDryRun), Timeout: timeout,
	}, nil
}

// switchAction plans, and does it.
func switchAction(c console, cc *cli.Context, action switchover.Action) error {
	req, err := switchRequest(cc, action)
	if err != nil {
		return err
	}
	cfg, err := load(cc)
	if err != nil {
		return err
	}
	h, log := newHost(c, cc)
	self, err := h.Hostname()
	if err != nil {
		return fmt.Errorf("ask for this node's name: %w", err)
	}
	show := switchover.Text(c.out)
	if cc.Bool(flagJSON) {
		show = switchover.JSON(c.out)
	}
	s := switchover.New(switchover.Options{Machine: h, Config: cfg, Self: self, Show: show, Log: log})
	defer s.Close()
	p, err := s.Plan(cc.Context, req)
	if err != nil {
		return explained(err)
	}
	s.Tell(p)
	switch {
	case p.Nothing != "":
		return nil
	case p.Refused():
		return cli.Exit("refused, nothing was changed", switchover.ExitNot)
	case req.DryRun:
		return nil
	}
	res, err := s.Run(cc.Context, p)
	if err != nil && res.Outcome == "" {
		return explained(err)
	}
	s.TellResult(p, res)
	if err != nil {
		return err
	}
	if code := res.Exit(); code != 0 {
		return cli.Exit("", code)
	}
	return nil
}

// explained says what to do when the cluster cannot be asked.
func explained(err error) error {
	switch {
	case errors.Is(err, pacemaker.ErrNotRunning):
		return fmt.Errorf("%w; start it, or run this on a node where it runs: systemctl start pacemaker", err)
	case errors.Is(err, pacemaker.ErrNoAnswer):
		return fmt.Errorf("%w; look with drbdnfs status, then try again", err)
	}
	return err
}
