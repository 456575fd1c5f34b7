package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/version"
)

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// terminal reports whether v is a terminal.
func terminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Names of flags that more than one command reads.
const (
	flagFile  = "file"
	flagDebug = "debug"
)

// usageError is wrong usage: exit status 2.
func usageError(format string, args ...any) error {
	return cli.Exit(fmt.Sprintf(format, args...), 2)
}

// wrongUsage is what a flag that is not known, or has a wrong value, ends with.
func wrongUsage(cc *cli.Context, err error, _ bool) error {
	name := "help"
	if cc.Command != nil && cc.Command.Name != "" && cc.Command.Name != cc.App.Name {
		name = cc.Command.FullName() + " --help"
	}
	return usageError("%v, see drbdnfs %s", err, name)
}

// newApp is the command on one console.
func newApp(c console) *cli.App {
	app := &cli.App{
		Name:      "drbdnfs",
		Usage:     "a highly available NFS server on DRBD",
		Version:   version.String(),
		Reader:    c.in,
		Writer:    c.out,
		ErrWriter: c.err,
		// Errors are printed, and turned into an exit status, in one place.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   wrongUsage,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagFile, Aliases: []string{"f"}, Value: config.DefaultFile, Usage: "configuration `FILE`"},
			&cli.BoolFlag{Name: flagDebug, Usage: "log each program that is run to standard error"},
		},
		Commands: []*cli.Command{
			statusCommand(c), configCommand(c), setupCommand(c), splitBrainCommand(c), cibCommand(c), linstorCommand(c),
			exportsCommand(c), growCommand(c), bundleCommand(c),
			checkCommand(c), completionCommand(c), completeCommand(c), manCommand(c),
			{
				Name:  "version",
				Usage: "print the version",
				Action: func(*cli.Context) error {
					_, err := fmt.Fprintln(c.out, "drbdnfs", version.String())
					return err
				},
			},
		},
		Action: func(cc *cli.Context) error {
			if cc.Args().Present() {
				return usageError("there is no command %q, see drbdnfs help", cc.Args().First())
			}
			return cli.ShowAppHelp(cc)
		},
	}
	app.Commands = append(app.Commands, switchCommands(c)...)
	alsoBehind(app.Commands)
	return app
}

// alsoBehind lets the flags of all commands stand behind a command as well,
// without a line of their own in its help.
func alsoBehind(commands []*cli.Command) {
	for _, cmd := range commands {
		alsoBehind(cmd.Subcommands)
		cmd.OnUsageError = wrongUsage
		flagsAnywhere(cmd)
		cmd.Flags = append(cmd.Flags,
			&cli.StringFlag{Name: flagFile, Aliases: []string{"f"}, Hidden: true}, &cli.BoolFlag{Name: flagDebug, Hidden: true})
	}
}

// configFile is the configuration file that the flags name, wherever they stand.
func configFile(cc *cli.Context) string {
	for _, c := range cc.Lineage() {
		if c.Command != nil && slices.Contains(c.LocalFlagNames(), flagFile) {
			return c.String(flagFile)
		}
	}
	return config.DefaultFile
}

// debugging reports whether --debug stands anywhere.
func debugging(cc *cli.Context) bool {
	return slices.ContainsFunc(cc.Lineage(), func(c *cli.Context) bool {
		return c.Command != nil && slices.Contains(c.LocalFlagNames(), flagDebug)
	})
}

// group is a command that only has subcommands. A word that is none of them is
// wrong usage, not a request for help.
func group(name, usage string, commands ...*cli.Command) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, Subcommands: commands,
		Action: func(cc *cli.Context) error {
			if cc.Args().Present() {
				return usageError("%s has no command %q, see drbdnfs %s help", name, cc.Args().First(), name)
			}
			return cli.ShowSubcommandHelp(cc)
		},
	}
}

// noArguments refuses words behind a command that takes none.
func noArguments(cc *cli.Context) error {
	if cc.Args().Present() {
		return usageError("%s takes no argument, found %q", cc.Command.Name, cc.Args().First())
	}
	return nil
}

// load reads and checks the configuration file that the flags name.
func load(cc *cli.Context) (*config.Config, error) {
	file := configFile(cc)
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("%s is missing: make it with drbdnfs config example > %s, then edit it", file, file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return config.Parse(file, data)
}

// newHost is this machine, with its log on standard error.
func newHost(c console, cc *cli.Context) (*host.Host, *slog.Logger) {
	level := slog.LevelWarn
	if debugging(cc) {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
	return host.New(log), log
}
