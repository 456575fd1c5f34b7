package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup/secret"
)

// configCommand is "drbdnfs config".
func configCommand(c console) *cli.Command {
	return group("config", "the configuration file",
		&cli.Command{
			Name:  "example",
			Usage: "print an example to start from",
			Description: "drbdnfs config example > " + config.DefaultFile + "\n\n" +
				"The example has comments and few keys; docs/configuration.md lists all. It does not pass the check before\n" +
				"the values of this site are in it, and before it is decided how a split of the cluster is dealt with.",
			Action: func(cc *cli.Context) error { return printed(cc, c.out, config.Example()) },
		},
		&cli.Command{
			Name:  "check",
			Usage: "check the file; print what is wrong, each with its line",
			Action: func(cc *cli.Context) error {
				if err := noArguments(cc); err != nil {
					return err
				}
				if _, err := load(cc); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.out, "%s is valid\n", configFile(cc))
				return err
			},
		},
		&cli.Command{
			Name:        "show",
			Usage:       "print the file with all defaults filled in",
			Description: "Passwords of fence devices are hidden.",
			Action: func(cc *cli.Context) error {
				cfg, err := load(cc)
				if err != nil {
					return err
				}
				return printed(cc, c.out, cfg.Show())
			},
		},
		&cli.Command{
			Name:  "secret",
			Usage: "make the cluster's secret, to be copied to the other nodes with the file",
			Description: "Writes " + config.DefaultSecretFile + ", mode 0600. The password of the user hacluster and, without pcs, corosync's and\n" +
				"Pacemaker's keys are derived from it. An existing one is left alone.",
			Action: func(cc *cli.Context) error { return makeSecret(c, cc) },
		},
	)
}

// printed prints text for a command that takes no arguments.
func printed(cc *cli.Context, out io.Writer, text string) error {
	if err := noArguments(cc); err != nil {
		return err
	}
	_, err := io.WriteString(out, text)
	return err
}

func makeSecret(c console, cc *cli.Context) error {
	if err := noArguments(cc); err != nil {
		return err
	}
	h, _ := newHost(c, cc)
	made, err := secret.Make(h, config.DefaultSecretFile)
	if err != nil {
		return err
	}
	word := "is there already"
	if made {
		word = "made"
	}
	_, err = fmt.Fprintf(c.out, "%s: %s\ncopy it to the other nodes with the configuration: scp -p /etc/drbdnfs/* NODE:/etc/drbdnfs/\n", config.DefaultSecretFile, word)
	return err
}
