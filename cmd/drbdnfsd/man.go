package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/manual"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/version"
)

// manCommand is "drbdnfsd man", by which the package's build makes the manual
// page.
func manCommand() *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page in roff", Hidden: true, HideHelp: true,
		Flags: []cli.Flag{&cli.Int64Flag{
			Name: "date", EnvVars: []string{"SOURCE_DATE_EPOCH"}, Usage: "`SECONDS` since 1970 that the page is dated",
		}},
		Action: func(cc *cli.Context) error {
			date := time.Time{}
			if s := cc.Int64("date"); s > 0 {
				date = time.Unix(s, 0)
			}
			_, err := fmt.Fprint(cc.App.Writer, manPage(cc.App).Roff(version.Number(), date))
			return err
		},
	}
}

func manPage(app *cli.App) *manual.Page {
	p := &manual.Page{Name: app.Name, Section: 8, Short: app.Usage}
	p.Head("SYNOPSIS")
	p.Text("`systemctl enable --now drbdnfsd`\n\n`drbdnfsd` [OPTION...]")
	p.Head("DESCRIPTION")
	p.Text("`drbdnfsd` runs on each storage node. It follows DRBD and sees when both nodes have written without each other, a split brain. " +
		"It says so in the journal, by an alert and by a metric, and resolves it where the policy in drbdnfs.toml(5) says whose changes " +
		"may be discarded, after a snapshot of them. Without such a policy it changes nothing.\n\n" +
		"It serves no client: it may be stopped and started at any time. A snapshot or an order to DRBD that has begun is ended first. " +
		"It reads its configuration again when the file changes.")
	p.Head("OPTIONS")
	p.Flags(app.VisibleFlags())
	p.Head("SIGNALS")
	p.Item("SIGHUP", "Read the configuration again.")
	p.Item("SIGTERM, SIGINT", "End in order.")
	p.Head("EXIT STATUS")
	p.Item("`0`", "Ended by a signal.")
	p.Item("`1`", "An error, which is in the journal.")
	p.Head("FILES")
	p.Item("`/var/lib/drbdnfs`", "How far each split brain has been handled. Do not edit or delete what is there: it keeps both nodes from discarding.")
	p.Item("`"+notice.Path+"`", "Where the resource agent and DRBD's handler send notices.")
	p.Item("`/usr/share/drbdnfs`", "Alert rules for Prometheus, and a dashboard for Grafana.")
	p.Head("EXAMPLES")
	p.Text("What it has seen and done, with an explanation of each message that somebody may have to act on:\n\n" +
		"   journalctl -t drbdnfsd\n   journalctl -x -t drbdnfsd -p warning")
	p.Head("SEE ALSO")
	p.Text("drbdnfs(8), drbdnfs.toml(5), ocf_spacei_drbdnfs(7), journalctl(1), /usr/share/doc/drbdnfs/daemon.md")
	return p
}
