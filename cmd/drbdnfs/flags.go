package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsAnywhere lets the flags of a command stand behind its arguments as well:
// "grow 8T --yes" would otherwise have three arguments.
func flagsAnywhere(cmd *cli.Command) {
	if cmd.Action == nil || cmd.SkipFlagParsing || len(cmd.Subcommands) > 0 {
		return
	}
	action := cmd.Action
	cmd.Action = func(cc *cli.Context) error {
		cc, err := interspersed(cc)
		if err != nil {
			return err
		}
		return action(cc)
	}
}

// interspersed reads flags that stand behind arguments as well; the arguments of
// the context that it returns are the others.
func interspersed(cc *cli.Context) (*cli.Context, error) {
	if !slices.ContainsFunc(cc.Args().Tail(), func(a string) bool { return strings.HasPrefix(a, "-") }) {
		return cc, nil
	}
	var args []string
	rest := cc.Args().Slice()
	for len(rest) > 0 {
		args, rest = append(args, rest[0]), rest[1:]
		if len(rest) == 0 || !strings.HasPrefix(rest[0], "-") {
			continue
		}
		set := flag.NewFlagSet(cc.Command.Name, flag.ContinueOnError)
		set.SetOutput(nothing{})
		for _, f := range cc.Command.Flags {
			if err := f.Apply(set); err != nil {
				return nil, err
			}
		}
		for _, name := range cc.LocalFlagNames() { // those that stood before
			if err := set.Set(name, fmt.Sprint(cc.Value(name))); err != nil {
				return nil, usageError("%v, see drbdnfs help", err)
			}
		}
		if err := set.Parse(rest); err != nil {
			return nil, usageError("%v, see drbdnfs help", err)
		}
		rest = set.Args()
		if err := set.Parse(append([]string{"--"}, append(slices.Clone(args), rest...)...)); err != nil {
			return nil, err
		}
		next := cli.NewContext(cc.App, set, cc)
		next.Command = cc.Command
		cc = next
	}
	return cc, nil
}

// nothing swallows what package flag prints by itself.
type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }
