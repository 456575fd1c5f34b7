package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/manual"
	"github.com/spacei/drbdnfs/pkg/version"
)

// manCommand is "drbdnfs man PAGE", by which the package's build makes the
// manual pages.
func manCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print a manual page in roff", ArgsUsage: "PAGE", Hidden: true,
		Flags: []cli.Flag{&cli.Int64Flag{
			Name: "date", EnvVars: []string{"SOURCE_DATE_EPOCH"}, Usage: "`SECONDS` since 1970 that the page is dated",
		}},
		Action: func(cc *cli.Context) error {
			pages := manPages(cc.App)
			i := slices.IndexFunc(pages, func(p *manual.Page) bool { return cc.NArg() == 1 && pageFile(p) == cc.Args().First() })
			if i < 0 {
				var names []string
				for _, p := range pages {
					names = append(names, pageFile(p))
				}
				return usageError("man takes one of %s", strings.Join(names, ", "))
			}
			date := time.Time{}
			if s := cc.Int64("date"); s > 0 {
				date = time.Unix(s, 0)
			}
			_, err := fmt.Fprint(c.out, pages[i].Roff(version.Number(), date))
			return err
		},
	}
}

func pageFile(p *manual.Page) string { return p.Name + "." + strconv.Itoa(p.Section) }

// manPages are the pages that this command knows; drbdnfsd has its own.
func manPages(app *cli.App) []*manual.Page {
	return []*manual.Page{commandPage(app), configPage(), agentPage(agent.Metadata())}
}

func commandPage(app *cli.App) *manual.Page {
	p := &manual.Page{Name: "drbdnfs", Section: 8, Short: app.Usage}
	p.Head("SYNOPSIS")
	p.Text("`drbdnfs` [OPTION...] COMMAND [OPTION...] [ARGUMENT...]")
	p.Head("DESCRIPTION")
	p.Text("`drbdnfs` is the administrator's side of an NFS server that two or more servers run together: DRBD keeps the data " +
		"on each of them, Pacemaker decides which one serves. It makes bare servers into such a group from one file, shows how the " +
		"group is, moves it, and helps after a split brain.\n\n" +
		"It is run as root on one of the nodes. Commands that look change nothing; those that change something ask first, or say with " +
		"which option they do it without being asked.")
	p.Head("OPTIONS")
	p.Text("These stand before or behind the command.")
	p.Flags(app.VisibleFlags())
	p.Head("COMMANDS")
	p.Commands(app)
	p.Head("EXIT STATUS")
	p.Text("Where a command's own text does not say otherwise:")
	p.Item("`0`", "Done.")
	p.Item("`1`", "An error, which is printed with what to do about it.")
	p.Item("`2`", "Wrong usage; nothing was done.")
	p.Head("FILES")
	p.Item("`"+config.DefaultFile+"`", "The configuration, the same on every node; see drbdnfs.toml(5).")
	p.Item("`"+config.DefaultSecretFile+"`", "The cluster's secret, which `drbdnfs config secret` makes.")
	p.Item("`/var/lib/drbdnfs`", "What is known of split brains on this node.")
	p.Item("`/usr/share/doc/drbdnfs`", "The documentation.")
	seeAlso(p, "drbdnfs.toml(5)", "drbdnfsd(8)", "ocf_spacei_drbdnfs(7)", "crm_mon(8)", "drbdadm(8)", "exportfs(8)")
	return p
}

func seeAlso(p *manual.Page, pages ...string) {
	p.Head("SEE ALSO")
	p.Text(strings.Join(pages, ", "))
}

func configPage() *manual.Page {
	p := &manual.Page{Name: "drbdnfs.toml", Section: 5, Short: "configuration of a highly available NFS server on DRBD"}
	p.Head("SYNOPSIS")
	p.Text("`" + config.DefaultFile + "`")
	p.Head("DESCRIPTION")
	p.Text("The file describes the whole cluster. It is the same on every node; each node finds itself in it by the name that " +
		"`uname -n` prints. It is TOML: texts are in double quotes, `[name]` begins a table, `[[name]]` one of several.\n\n" +
		"The file is read strictly: an unknown key, a wrong type or a value that cannot work is refused, and nothing is done on any " +
		"machine until all of it is right. `drbdnfs config check` lists what is wrong, each with its line; `drbdnfs config show` prints " +
		"the file with all defaults filled in.\n\n" +
		"Sizes are whole numbers with a binary unit, K, M, G, T or P. Times have their unit with them: \"500ms\", \"30s\", \"1m30s\".\n\n" +
		"Give the file mode 0600 when it holds passwords of fence devices.")
	p.Head("KEYS")
	for _, t := range config.Tables() {
		configTable(p, t)
	}
	p.Head("EXAMPLE")
	p.Text("`drbdnfs config example` prints this, to be edited:")
	p.Literal(config.Example())
	seeAlso(p, "drbdnfs(8)", "drbdnfsd(8)", "exports(5)", "drbd.conf(5)", "corosync.conf(5)")
	return p
}

func configTable(p *manual.Page, t config.Table) {
	title, text := "At the top", t.Text
	if t.Header != "" {
		title = "`" + t.Header + "`"
	}
	if t.Required {
		text += " At least one is required."
	}
	p.Sub(title)
	p.Text(text)
	for _, k := range t.Keys {
		def := "default: " + k.Otherwise
		switch {
		case k.Default != "":
			def = "default: " + k.Default
		case k.Otherwise == "required":
			def = "required"
		}
		p.Item("`"+k.Name+"` ("+k.Type+", "+strings.ReplaceAll(def, "`", "")+")", k.Text)
	}
	for _, o := range t.Options {
		text := "Unless the file says otherwise."
		if o.Mode != "" {
			text = "With fencing mode `" + o.Mode + "`, unless the file says otherwise."
		}
		p.Item("`"+o.Name+" = "+o.Value+"`", text)
	}
}

func agentPage(m ocf.Metadata) *manual.Page {
	p := &manual.Page{Name: "ocf_spacei_" + m.Name, Section: 7, Short: "resource agent: a highly available NFS server on DRBD"}
	p.Head("SYNOPSIS")
	p.Text("`pcs resource create` ID `ocf:spacei:" + m.Name + "` PARAMETER=VALUE... `promotable`")
	p.Head("DESCRIPTION")
	p.Text(m.Long)
	p.Text("`drbdnfs setup` makes the resource, with its operations and their timeouts, from drbdnfs.toml(5).")
	p.Head("PARAMETERS")
	for _, a := range m.Parameters {
		about := []string{a.Type}
		switch {
		case a.Required:
			about = append(about, "required")
		case a.Default != "":
			about = append(about, "default: "+a.Default)
		}
		if a.Reloadable {
			about = append(about, "changed without a restart")
		}
		p.Item("`"+a.Name+"` ("+strings.Join(about, ", ")+")", a.Long)
	}
	p.Head("ACTIONS")
	p.Text("With the smallest timeout that each may be given.")
	for _, a := range m.Actions {
		tag := "`" + a.Name + "`"
		if a.Role != "" {
			tag += " " + a.Role
		}
		text := fmt.Sprintf("timeout %d s", int(a.Timeout.Seconds()))
		if a.Interval > 0 {
			text += fmt.Sprintf(", every %d s", int(a.Interval.Seconds()))
		}
		if a.Depth > 0 {
			text += fmt.Sprintf(", OCF_CHECK_LEVEL %d", a.Depth)
		}
		p.Item(tag, text)
	}
	p.Head("FILES")
	p.Item("`/usr/lib/ocf/resource.d/spacei/"+m.Name+"`", "The agent.")
	p.Item("`/run/drbdnfs`", "What it remembers until the next boot.")
	p.Item("`/var/lib/nfs`", "Leads to the NFS state on the volume while the node is Promoted.")
	seeAlso(p, "drbdnfs(8)", "drbdnfs.toml(5)", "crm_mon(8)", "pcs(8)", "exports(5)", "journalctl(1)")
	return p
}
