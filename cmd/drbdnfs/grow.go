package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/grow"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

const flagDryRun = "dry-run"

const growDescription = `SIZE is what DRBD's device is to have, as resource.size in the file: 500G, 8T. Clients go on meanwhile.

Run it on every node with a disk, at the same time and in any order: each makes its own logical volume larger, and the
node that is Primary then grows DRBD's device, waits until the new part is on all nodes, and grows the file system. With
LINSTOR run it on the controller's node, which grows the volume everywhere, and on the node that is Primary.

It refuses to make anything smaller, and to start while a disk is not UpToDate, a node is not connected, a resync runs,
or a volume group lacks the room. A run that was cut off is continued by the next one; what is done stays.

Exit status: 0 done, 1 an error, or something that a person has to decide first, 2 wrong usage; with --dry-run 2 also
when there is something to do.`

// growCommand is "drbdnfs grow".
func growCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "grow", Usage: "make the volume larger while clients use it", ArgsUsage: "SIZE", Description: growDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: flagDryRun, Aliases: []string{"n"}, Usage: "print what would be done; change nothing"},
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			&cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object a line"},
			&cli.DurationFlag{Name: flagTimeout, Value: 24 * time.Hour, Usage: "give up after `TIME`, which the new part's synchronisation counts in"},
		},
		Action: func(cc *cli.Context) error { return growAction(c, cc) },
	}
}

func growAction(c console, cc *cli.Context) error {
	size, err := sizeArgument(cc)
	if err != nil {
		return err
	}
	dry := cc.Bool(flagDryRun)
	if !dry && !cc.Bool(flagYes) && (cc.Bool(flagJSON) || !terminal(c.in)) {
		return usageError("nobody can be asked here: look at drbdnfs grow --dry-run %s, then run this with --yes", size)
	}
	j, err := newGrowJob(c, cc, size)
	if err != nil {
		return err
	}
	plan, err := lookAt(cc, j)
	if err != nil {
		return err
	}
	if dry || cc.Bool(flagYes) {
		j.show.Plan(j.self, plan)
	}
	switch {
	case dry && plan.Refused() == nil && plan.Pending() > 0:
		return cli.Exit("", changesPending)
	case dry && plan.Refused() == nil:
		return nil
	case plan.Refused() != nil && (dry || cc.Bool(flagYes)):
		return cli.Exit("", 1)
	}
	if err := agreed(c, cc, j, plan); err != nil {
		return err
	}
	return growNow(c, cc, j, size)
}

// sizeArgument reads the only argument.
func sizeArgument(cc *cli.Context) (config.Size, error) {
	if cc.NArg() != 1 {
		return 0, usageError("grow takes one size, such as 8T")
	}
	var size config.Size
	text := cc.Args().First()
	if err := size.UnmarshalText([]byte(text)); err != nil {
		return 0, usageError("grow: %q is %v", text, err)
	}
	if size <= 0 {
		return 0, usageError("grow: %q is nothing: write it as 500G or 8T", text)
	}
	return size, nil
}

// lookAt looks at the stages, for a bounded time.
func lookAt(cc *cli.Context, j *job) (setup.Plan, error) {
	ctx, cancel := context.WithTimeout(cc.Context, lookLimit)
	defer cancel()
	return setup.Look(ctx, j.stages)
}

func newGrowJob(c console, cc *cli.Context, size config.Size) (*job, error) {
	cfg, err := load(cc)
	if err != nil {
		return nil, err
	}
	h, log := newHost(c, cc)
	self, err := h.Hostname()
	if err != nil {
		return nil, fmt.Errorf("ask for this node's name: %w", err)
	}
	if _, ok := cfg.Node(self); !ok {
		return nil, fmt.Errorf("this machine is called %q, which %s does not have: run it on a node of the cluster", self, configFile(cc))
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can grow the volume: run it with sudo")
	}
	o := grow.Options{Machine: h, Config: cfg, Self: self, Size: size, Cluster: pacemaker.New(h), Log: log}
	if cfg.Storage.Manager == config.ManagerLINSTOR {
		o.LINSTOR = linstor.New(linstor.Options{Machine: h, Config: cfg, Self: self, Log: log}).Grow
	}
	return &job{host: h, cfg: cfg, self: self, stages: grow.Stages(o), show: newShown(c, cc, cfg)}, nil
}

// growNow does it, and says what is left for a person.
func growNow(c console, cc *cli.Context, j *job, size config.Size) error {
	unlock, err := j.lock(cc.Context)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(cc.Context, cc.Duration(flagTimeout))
	defer cancel()
	n, err := setup.Apply(ctx, j.stages, j.show)
	if err != nil {
		return fmt.Errorf("%w\nwhat was done stays, and clients go on; run drbdnfs grow %s again to go on", err, size)
	}
	if cc.Bool(flagJSON) {
		return nil
	}
	if n == 0 {
		fmt.Fprintf(c.out, "\n%s: nothing to do\n", j.self)
	} else {
		fmt.Fprintf(c.out, "\n%s: done\n", j.self)
	}
	if j.cfg.Resource.Size != size {
		fmt.Fprintf(c.out, "write size = %q at %s, in the file of every node\n", size.String(), j.cfg.At("resource.size"))
	}
	return nil
}
