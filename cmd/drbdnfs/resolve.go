package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/sides"
)

const (
	showDescription = `Shows both sides of a split brain beside each other: who serves, who has written how much and since when, what DRBD
said, what the daemons decided or why they refuse, what each choice discards, and the command to type.

What the other node knows comes from its drbdnfsd, by Pacemaker. Without RESOURCE all that this node knows of are shown.

Exit status: 0, also where there is none; 1 an error, 2 wrong usage.`

	resolveDescription = `Orders the daemons of both nodes to discard what NODE has written since the two were in sync, whatever the policy says.
They keep a snapshot first, look once more that nobody uses the data, and tell DRBD. Nothing is discarded that is in
use, not proven to have diverged, or promised to be kept. The order is for this split brain alone.

It shows what would be lost and asks for the name of NODE; scripts give it a second time with --yes-discard. Then it
shows each step. Ctrl-C ends the showing, not the resolution.

Where a daemon does not answer nothing is done, and the commands to run by hand on each node are printed.

Exit status: 0 resolved, or with --dry-run: it would be tried; 1 refused, held, not seen to the end, or an error;
2 wrong usage.`
)

const (
	flagDiscard    = "discard"
	flagSnapshot   = "snapshot"
	flagYesDiscard = "yes-discard"
	stateDir       = "/var/lib/drbdnfs"
)

// desk is what the commands on both sides of a split brain need of the machine.
type desk struct {
	console
	looker *sides.Looker
	node   string
	config *config.Config // nil: there is none that can be read
	send   func(notice.Notice) error
}

func newDesk(c console, cc *cli.Context) (*desk, error) {
	h, _ := newHost(c, cc)
	node, err := h.Hostname()
	if err != nil {
		return nil, err
	}
	d := &desk{
		console: c, node: node, send: func(n notice.Notice) error { return notice.Send(notice.Path, n) },
		looker: sides.New(sides.Options{Host: h, StateDir: stateDir, Listens: func() bool { return notice.Listens(notice.Path) }}),
	}
	if data, err := os.ReadFile(configFile(cc)); err == nil {
		if d.config, err = config.Parse(configFile(cc), data); err != nil {
			d.config = nil // the records tell of the pairs as well
		}
	}
	return d, nil
}

// pairs are those of a resource, or all for "", with this node first.
func (d *desk) pairs(resource string) ([]sides.Pair, error) {
	pairs, err := d.looker.Recorded(d.node)
	if err != nil {
		return nil, err
	}
	if d.config != nil {
		for _, n := range d.config.Nodes {
			p := sides.Pair{Resource: d.config.Resource.Name, Node: d.node, Peer: n.Name}
			if n.Name != d.node && !n.Diskless && !slices.Contains(pairs, p) {
				pairs = append(pairs, p)
			}
		}
	}
	if resource != "" {
		pairs = slices.DeleteFunc(pairs, func(p sides.Pair) bool { return p.Resource != resource })
	}
	return pairs, nil
}

// showCommand is "drbdnfs split-brain show".
func showCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "both sides of a split brain, and what each choice discards", ArgsUsage: "[RESOURCE]", Description: showDescription,
		Flags: []cli.Flag{&cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object a line"}},
		Action: func(cc *cli.Context) error {
			args := cc.Args().Slice()
			if len(args) > 1 {
				return usageError("show takes one DRBD resource, found %q", args[1])
			}
			d, err := newDesk(c, cc)
			if err != nil {
				return err
			}
			return d.show(cc.Context, strings.Join(args, ""), cc.Bool(flagJSON))
		},
	}
}

// show prints each pair that has a split brain, and says so where none has.
func (d *desk) show(ctx context.Context, resource string, asJSON bool) error {
	pairs, err := d.pairs(resource)
	if err != nil {
		return err
	}
	if len(pairs) == 0 && !asJSON {
		_, err := fmt.Fprintln(d.out, strings.TrimSpace("no split brain: this node knows of no other that holds data of "+resource))
		return err
	}
	for i, pair := range pairs {
		p := sides.Judge(d.looker.Look(ctx, pair))
		if asJSON {
			err = json.NewEncoder(d.out).Encode(p)
		} else {
			if i > 0 {
				fmt.Fprintln(d.out)
			}
			_, err = fmt.Fprint(d.out, p.Text())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolveCommand is "drbdnfs split-brain resolve".
func resolveCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "resolve", Usage: "have one node's changes discarded, on your word", ArgsUsage: "RESOURCE", Description: resolveDescription,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagDiscard, Usage: "the `NODE` whose changes are discarded"},
			&cli.StringFlag{Name: flagSnapshot, Value: string(splitbrain.SnapshotRequired), Usage: "of what is discarded: required, if-possible or off"},
			&cli.BoolFlag{Name: flagDryRun, Usage: "say what would be lost and whether it can be done, and change nothing"},
			&cli.StringFlag{Name: flagYesDiscard, Usage: "the same `NODE` once more, instead of being asked"},
		},
		Action: func(cc *cli.Context) error {
			args := cc.Args().Slice()
			r, err := newRequest(cc, args, terminal(c.in))
			if err != nil {
				return err
			}
			d, err := newDesk(c, cc)
			if err != nil {
				return err
			}
			return d.resolve(cc.Context, r)
		},
	}
}

// request is what a person asks for.
type request struct {
	resource, victim, confirmed string
	snapshot                    splitbrain.SnapshotMode
	dry                         bool
}

// newRequest checks what was typed.
func newRequest(cc *cli.Context, args []string, asks bool) (request, error) {
	r := request{
		victim: cc.String(flagDiscard), confirmed: cc.String(flagYesDiscard),
		snapshot: splitbrain.SnapshotMode(cc.String(flagSnapshot)), dry: cc.Bool(flagDryRun),
	}
	switch {
	case len(args) != 1:
		return r, usageError("resolve takes one DRBD resource, see drbdnfs split-brain show")
	case r.victim == "":
		return r, usageError("say whose changes are discarded: --discard NODE, see drbdnfs split-brain show")
	case !r.snapshot.Valid():
		return r, usageError("--snapshot %q: it is required, if-possible or off", r.snapshot)
	case r.confirmed != "" && r.confirmed != r.victim:
		return r, usageError("--discard %s and --yes-discard %s name two nodes", r.victim, r.confirmed)
	case r.confirmed == "" && !r.dry && !asks:
		return r, usageError("nobody can be asked here: look at --dry-run, then name the node again with --yes-discard %s", r.victim)
	}
	r.resource = args[0]
	return r, nil
}

// pair finds the two nodes that r is about.
func (d *desk) pair(ctx context.Context, r request) (sides.Picture, error) {
	pairs, err := d.pairs(r.resource)
	if err != nil {
		return sides.Picture{}, err
	}
	var last *sides.Picture
	for _, pair := range pairs {
		if r.victim != pair.Node && r.victim != pair.Peer {
			continue
		}
		p := sides.Judge(d.looker.Look(ctx, pair))
		if last = &p; p.Found {
			return p, nil
		}
	}
	if last == nil {
		return sides.Picture{}, fmt.Errorf("%s and %s are no resource and node that this node knows of, see drbdnfs split-brain show", r.resource, r.victim)
	}
	fmt.Fprint(d.out, last.Text())
	return sides.Picture{}, fmt.Errorf("there is nothing to resolve between %s and %s", last.Node, last.Peer)
}

// resolve shows what is lost, asks, gives the order and follows it.
func (d *desk) resolve(ctx context.Context, r request) error {
	p, err := d.pair(ctx, r)
	if err != nil {
		return err
	}
	fmt.Fprint(d.out, p.Text(), "\n")
	choice, _ := p.Choice(r.victim)
	if !choice.Possible {
		return fmt.Errorf("nothing was done: %s: %s", choice.Text, choice.Command)
	}
	fmt.Fprintf(d.out, "%s; snapshot: %s\n", choice.Text, r.snapshot)
	if r.dry {
		_, err := fmt.Fprintln(d.out, "nothing was changed (--dry-run); it would be tried")
		return err
	}
	if r.confirmed == "" && !d.typed(r.victim) {
		return cli.Exit("nothing was changed", 1)
	}
	return d.order(ctx, &p, r)
}

// typed asks for the name of the node.
func (d *desk) typed(victim string) bool {
	fmt.Fprint(d.out, "type the name of the node whose changes are discarded: ")
	answer, _ := bufio.NewReader(d.in).ReadString('\n')
	return strings.TrimSpace(answer) == victim
}

// order gives the order to this node's daemon and shows what both do.
func (d *desk) order(ctx context.Context, p *sides.Picture, r request) error {
	began := time.Now()
	err := d.send(notice.Notice{Node: d.node, When: began, Order: &notice.Order{
		Resource: r.resource, Incident: p.Incident, Victim: r.victim, Snapshot: string(r.snapshot),
	}})
	if err != nil {
		return fmt.Errorf("drbdnfsd was not told: %w: systemctl start drbdnfsd", err)
	}
	w := sides.NewWatch(p.Pair, p.Incident, r.victim, began)
	err = d.looker.Follow(ctx, w, func(at time.Time, line string) { fmt.Fprintln(d.out, at.Format(time.TimeOnly), line) })
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("not watching any more, the nodes go on by themselves: drbdnfs split-brain show %s", r.resource)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "%s resolved: %s\n", time.Now().Format(time.TimeOnly), d.looker.Resync(ctx, p.Pair))
	if r.snapshot != splitbrain.SnapshotOff {
		d.kept(w)
	}
	return nil
}

// kept says where the snapshot is and how to look into it.
func (d *desk) kept(w *sides.Watch) {
	names := w.Snapshots
	if names == "" {
		names = "its name: drbdnfs split-brain snapshots, on " + w.Victim
	}
	fmt.Fprintf(d.out, "what was discarded is in a snapshot on %s: %s\nhow to look into it, there: drbdnfs split-brain snapshots --help\n", w.Victim, names)
}
