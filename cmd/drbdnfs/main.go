// Command drbdnfs is the administrator's tool. So far it only says which
// version is installed; what it does not do yet it does not list.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/version"
)

func main() {
	if err := newApp(os.Stdout).Run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "drbdnfs:", err)
		os.Exit(1)
	}
}

// newApp is the command, printing to stdout.
func newApp(stdout io.Writer) *cli.App {
	return &cli.App{
		Name:    "drbdnfs",
		Usage:   "a highly available NFS server on DRBD",
		Version: version.String(),
		Writer:  stdout,
		Commands: []*cli.Command{{
			Name:  "version",
			Usage: "print the version",
			Action: func(*cli.Context) error {
				_, err := fmt.Fprintln(stdout, "drbdnfs", version.String())
				return err
			},
		}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return cli.Exit(fmt.Sprintf("drbdnfs: there is no command %q, see drbdnfs help", c.Args().First()), 2)
			}
			return cli.ShowAppHelp(c)
		},
	}
}
