package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/check"
	"github.com/spacei/drbdnfs/pkg/version"
)

const flagList = "list"

const checkDescription = `Looks at the configuration, the cluster, fencing, DRBD, storage, NFS, the network, services and SELinux, from this
node, and changes nothing. It takes up to 10 s, however much hangs. What could not be looked at is a finding too. Run it
on every node: most of another one cannot be seen from here.

Each finding has its id in brackets, why it matters, and behind > what to type; docs/check.md has them all.

Exit status: 0 nothing above a note, 1 warnings, 2 errors, or wrong usage, or a configuration that cannot be used.
Marks: x error, ! warning, · note.`

// checkCommand is "drbdnfs check".
func checkCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "look for what is, or may become, wrong; change nothing", Description: checkDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object"},
			&cli.BoolFlag{Name: flagList, Usage: "print all checks and what they look for, and look at nothing"},
		},
		// Its status 1 is a warning; an unknown flag must not look like one.
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return usageError("%v, see drbdnfs check --help", err) },
		Action: func(cc *cli.Context) error {
			if err := noArguments(cc); err != nil {
				return err
			}
			if cc.Bool(flagList) {
				return listChecks(c, cc.Bool(flagJSON))
			}
			return checkAction(c, cc)
		},
	}
}

// checkAction looks, prints, and ends with the worst that was found.
func checkAction(c console, cc *cli.Context) error {
	cfg, err := load(cc)
	if err != nil {
		return cli.Exit(err.Error(), 2)
	}
	h, log := newHost(c, cc)
	self, err := nodeName(h, cc, cfg)
	if err != nil {
		return cli.Exit(err.Error(), 2)
	}
	r := check.Run(cc.Context, check.Options{
		Machine: h, Config: cfg, Self: self, Stages: newStages(h, cfg, self, false, log), Version: version.Number(),
	})
	if cc.Bool(flagJSON) {
		err = r.WriteJSON(c.out)
	} else {
		err = r.WriteText(c.out, terminal(c.out))
	}
	if err != nil {
		return cli.Exit(err.Error(), 2)
	}
	return checkStatus(r)
}

// checkStatus is the exit status of a report.
func checkStatus(r check.Report) error {
	switch r.Worst() {
	case check.Error:
		return cli.Exit("", 2)
	case check.Warning:
		return cli.Exit("", 1)
	}
	return nil
}

// listChecks prints the catalog.
func listChecks(c console, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.out).Encode(check.Checks())
	}
	w := table.NewWriter()
	w.SetStyle(unlined)
	w.AppendHeader(table.Row{"ID", "SEVERITY", "AREA", "LOOKS FOR"})
	for _, k := range check.Checks() {
		w.AppendRow(table.Row{k.ID, k.Severity, k.Area, k.Looks})
	}
	for l := range strings.Lines(w.Render()) {
		if _, err := fmt.Fprintln(c.out, strings.TrimRight(l, " \n")); err != nil {
			return err
		}
	}
	return nil
}
