package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/snapshot"
)

const snapshotsDescription = `Before the data of one side of a split brain are discarded, an LVM snapshot of them is made on that node. It stays until
it is removed here. The list has this node's snapshots alone.

To look into one, mount it read-only, with the type of the file system (DRBD's metadata at the end hide it from mount):

   mount -t xfs -o ro,norecovery,nouuid /dev/GROUP/NAME /mnt
   mount -t ext4 -o ro,noload /dev/GROUP/NAME /mnt

The journal is not replayed by that. If the node was cut off while it was Primary, its last changes are in the journal
alone: make the snapshot writable first, lvchange --permission rw GROUP/NAME, and mount it with -o nouuid (ext4: without
options). That changes the snapshot, never the volume.

A snapshot slows the volume's writes down, and one that is "invalid" has overflowed: what it kept is lost. USED says how
full its room is; a thin one shares the room of its pool.`

// snapshotLimit bounds a command on snapshots: LVM hangs with its disks.
const snapshotLimit = 5 * time.Minute

// snapshotsCommand is "drbdnfs split-brain snapshots".
func snapshotsCommand(c console) *cli.Command {
	jsonFlag := &cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object a line"}
	list := func(cc *cli.Context) error {
		return withKeeper(c, cc, func(ctx context.Context, k keeper) error { return listSnapshots(ctx, c, k, cc.Bool(flagJSON)) })
	}
	snapshots := group("snapshots", "what was kept of discarded data on this node",
		&cli.Command{
			Name: "list", Usage: "list the snapshots, as does no subcommand", Description: snapshotsDescription, Flags: []cli.Flag{jsonFlag},
			Action: func(cc *cli.Context) error {
				if err := noArguments(cc); err != nil {
					return err
				}
				return list(cc)
			},
		},
		&cli.Command{
			Name: "rm", Usage: "remove snapshots; what is in them is lost for good", ArgsUsage: "NAME...",
			Description: "NAME is as in the list, with or without the volume group. A snapshot that is mounted is not removed.\n" +
				"Nothing but snapshots that drbdnfs has made is ever removed.",
			Flags:  []cli.Flag{&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"}},
			Action: func(cc *cli.Context) error { return rmAction(c, cc) },
		},
	)
	help := snapshots.Action
	snapshots.Description, snapshots.Flags = snapshotsDescription, []cli.Flag{jsonFlag}
	snapshots.Action = func(cc *cli.Context) error {
		if cc.Args().Present() {
			return help(cc)
		}
		return list(cc)
	}
	return snapshots
}

// keeper is what the commands need of [*snapshot.Keeper].
type keeper interface {
	List(ctx context.Context, resource string) ([]snapshot.Snapshot, error)
	Remove(ctx context.Context, name string) error
}

var _ keeper = (*snapshot.Keeper)(nil)

// withKeeper runs do on this machine's snapshots, for a bounded time.
func withKeeper(c console, cc *cli.Context, do func(context.Context, keeper) error) error {
	h, _ := newHost(c, cc)
	ctx, cancel := context.WithTimeout(cc.Context, snapshotLimit)
	defer cancel()
	return do(ctx, snapshot.New(h))
}

func listSnapshots(ctx context.Context, c console, k keeper, asJSON bool) error {
	list, err := k.List(ctx, "")
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(c.out)
		for _, s := range list {
			if err := enc.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "this node keeps no snapshots of discarded data")
		return err
	}
	return printSnapshots(c.out, list)
}

// unlined is a table without lines.
var unlined = table.Style{
	Name:    "unlined",
	Box:     table.BoxStyle{PaddingRight: "  "},
	Format:  table.FormatOptions{Header: text.FormatDefault},
	Options: table.OptionsNoBordersAndSeparators,
}

func printSnapshots(out io.Writer, list []snapshot.Snapshot) error {
	w := table.NewWriter()
	w.SetStyle(unlined)
	w.AppendHeader(table.Row{"NAME", "RESOURCE", "MADE", "SIZE", "USED", "STATE"})
	for _, s := range list {
		w.AppendRow(table.Row{s.Name, fmt.Sprintf("%s/%d", s.Resource, s.Volume), made(s), s.Size.String(), used(s), state(s)})
	}
	for l := range strings.Lines(w.Render()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(l, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func made(s snapshot.Snapshot) string {
	if s.Made.IsZero() {
		return "-"
	}
	return s.Made.UTC().Format("2006-01-02 15:04:05 UTC")
}

func used(s snapshot.Snapshot) string {
	switch {
	case s.UsedPercent < 0:
		return "-"
	case s.Pool != "":
		return fmt.Sprintf("%.1f %% of %s", s.UsedPercent, s.Pool)
	}
	return fmt.Sprintf("%.1f %%", s.UsedPercent)
}

func state(s snapshot.Snapshot) string {
	if s.Open {
		return string(s.State) + ", in use"
	}
	return string(s.State)
}

// rmAction asks and removes. Where nobody can be asked, nothing is looked
// at either.
func rmAction(c console, cc *cli.Context) error {
	names, yes := cc.Args().Slice(), cc.Bool(flagYes)
	if len(names) == 0 {
		return usageError("rm takes the names of snapshots, see drbdnfs split-brain snapshots")
	}
	if !yes && !terminal(c.in) {
		return usageError("nobody can be asked here: look at drbdnfs split-brain snapshots, then run this with --yes")
	}
	return withKeeper(c, cc, func(ctx context.Context, k keeper) error {
		chosen, err := choose(ctx, k, names)
		if err != nil {
			return err
		}
		if !yes && !confirmed(c, chosen) {
			return cli.Exit("nothing was changed", 1)
		}
		return removeSnapshots(ctx, c, k, chosen)
	})
}

// choose returns the snapshots of those names, each once. All names have to be
// known before anything is removed.
func choose(ctx context.Context, k keeper, names []string) ([]snapshot.Snapshot, error) {
	all, err := k.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var chosen []snapshot.Snapshot
	for _, name := range names {
		i := slices.IndexFunc(all, func(s snapshot.Snapshot) bool { return s.Is(name) })
		if i < 0 {
			return nil, fmt.Errorf("drbdnfs has made no snapshot %s on this node, see drbdnfs split-brain snapshots", name)
		}
		if !slices.Contains(chosen, all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// confirmed shows what would be removed and asks.
func confirmed(c console, chosen []snapshot.Snapshot) bool {
	if err := printSnapshots(c.out, chosen); err != nil {
		return false
	}
	fmt.Fprint(c.out, "what is in them is lost for good, remove? [y/N] ")
	answer, _ := bufio.NewReader(c.in).ReadString('\n')
	a := strings.ToLower(strings.TrimSpace(answer))
	return a == "y" || a == "yes"
}

func removeSnapshots(ctx context.Context, c console, k keeper, chosen []snapshot.Snapshot) error {
	for _, s := range chosen {
		if err := k.Remove(ctx, s.Name); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s: removed\n", s.Name)
	}
	return nil
}
