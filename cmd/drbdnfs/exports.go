package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/exports"
)

const exportsDescription = `Shows the exports of the configuration file and of the cluster against what this node's server offers, with the clients
that are connected and what they hold. A node that does not serve lists the configuration and says who is active.

STATE: offered; configured (this node does not serve); not-applied (the file and the cluster differ); missing or differs
(the server does not offer it, or with other options); foreign (not the group's).

What cannot be seen is said below the tables: NFSv3 knows no clients, and its locks belong to no client; kernels
before 5.3 list none for NFSv4 either, so that the connections to the service addresses are shown.

Exit status: 0 as configured, 1 an error, 2 wrong usage, 3 an export is not as configured.`

// exportsDiffer is the exit status when an export is not as configured.
const exportsDiffer = 3

const (
	flagClients = "clients"
	flagLocks   = "locks"
)

// exportsCommand is "drbdnfs exports".
func exportsCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "exports", Usage: "list what is exported, to whom, who is connected and what is locked", Description: exportsDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: flagClients, Usage: "only the clients"},
			&cli.BoolFlag{Name: flagLocks, Usage: "only what clients hold: locks, opens, delegations"},
			&cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object"},
		},
		Action: func(cc *cli.Context) error {
			if err := noArguments(cc); err != nil {
				return err
			}
			cfg, err := load(cc)
			if err != nil {
				return err
			}
			h, _ := newHost(c, cc)
			r, err := exports.Look(cc.Context, h, cfg)
			if err != nil {
				return err
			}
			return showExports(c, r, cc.Bool(flagJSON), cc.Bool(flagClients), cc.Bool(flagLocks))
		},
	}
}

// showExports prints the report, or parts of it, and ends with the exit status.
func showExports(c console, r exports.Report, asJSON, clients, locks bool) error {
	if asJSON {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		printExports(c.out, r, clients, locks)
	}
	bad := func(e exports.Export) bool { return e.State != exports.Offered && e.State != exports.Configured }
	if !clients && !locks && slices.ContainsFunc(r.Exports, bad) {
		return cli.Exit("", exportsDiffer)
	}
	return nil
}

func printExports(out io.Writer, r exports.Report, clients, locks bool) {
	all := !clients && !locks
	if all || !r.Serving {
		fmt.Fprintln(out, serves(r))
	}
	if all {
		printOffers(out, r.Exports)
	}
	if r.Serving && (all || clients) {
		fmt.Fprintf(out, "\n%s\n", counted(len(r.Clients), "client"))
		printClients(out, r.Clients)
	}
	if r.Serving && locks {
		fmt.Fprintf(out, "\n%s\n", counted(len(r.Locks), "state"))
		printLocks(out, r.Locks)
	}
	if len(r.Unknown) > 0 {
		fmt.Fprintln(out, "\nnot known:")
	}
	for _, s := range r.Unknown {
		fmt.Fprintln(out, "  "+s)
	}
}

// serves says in one line who is active.
func serves(r exports.Report) string {
	switch {
	case r.Serving:
		return r.Node + " serves"
	case len(r.Active) == 0:
		return r.Node + " does not serve, and no other node is known to; this is what the configuration says"
	}
	return fmt.Sprintf("%s does not serve, %s does; this is what the configuration says (clients and locks: run drbdnfs exports there)",
		r.Node, strings.Join(r.Active, " and "))
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func printOffers(out io.Writer, list []exports.Export) {
	rows := [][]any{{"EXPORT", "CLIENTS", "STATE", "OPTIONS", "FSID"}}
	for _, e := range list {
		rows = append(rows, []any{e.Path, e.Client, string(e.State), strings.Join(e.Options, ","), e.FSID})
	}
	printRows(out, rows)
	for _, e := range list {
		if e.Detail != "" {
			fmt.Fprintf(out, "! %s for %s: %s\n", e.Path, e.Client, e.Detail)
		}
	}
}

func printClients(out io.Writer, list []exports.Client) {
	rows := [][]any{{"CLIENT", "NFS", "CONNECTIONS", "OPEN", "LOCKED", "DELEGATED", "SEEN", "WHAT"}}
	for _, c := range list {
		what := c.Name
		if len(c.Mounted) > 0 {
			what = strings.Join(c.Mounted, " ")
		}
		seen := "-"
		if c.RenewedAgo != nil {
			seen = strconv.Itoa(*c.RenewedAgo) + " s ago"
		}
		held := []any{"-", "-", "-"}
		if strings.HasPrefix(c.Version, "4") {
			held = []any{c.Opens, c.Locks, c.Delegations}
		}
		rows = append(rows, append(append([]any{c.Address, orDash(c.Version), c.Connections}, held...), seen, orDash(what)))
	}
	if len(list) > 0 {
		printRows(out, rows)
	}
}

func printLocks(out io.Writer, list []exports.Lock) {
	rows := [][]any{{"CLIENT", "NFS", "KIND", "ACCESS", "DENY", "RANGE", "FILE"}}
	for _, l := range list {
		rows = append(rows, []any{orDash(l.Client), orDash(l.Version), l.Kind, orDash(l.Access), orDash(l.Deny), orDash(l.Range), l.File})
	}
	if len(list) > 0 {
		printRows(out, rows)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printRows prints a table without lines, the first row its head.
func printRows(out io.Writer, rows [][]any) {
	w := table.NewWriter()
	w.SetStyle(unlined)
	w.AppendHeader(rows[0])
	for _, r := range rows[1:] {
		w.AppendRow(r)
	}
	for l := range strings.Lines(w.Render()) {
		fmt.Fprintln(out, strings.TrimRight(l, " \n"))
	}
}
