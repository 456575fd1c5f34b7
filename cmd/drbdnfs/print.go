package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

// cibCommand is "drbdnfs cib".
func cibCommand(c console) *cli.Command {
	return group("cib", "Pacemaker's configuration", &cli.Command{
		Name:  "print",
		Usage: "print what setup puts into the CIB, as XML",
		Action: func(cc *cli.Context) error {
			cfg, err := load(cc)
			if err != nil {
				return err
			}
			return printed(cc, c.out, cib.Print(cfg))
		},
	})
}

// linstorCommand is "drbdnfs linstor".
func linstorCommand(c console) *cli.Command {
	return group("linstor", "LINSTOR's objects", &cli.Command{
		Name:  "print",
		Usage: "print the linstor commands that do what setup does",
		Action: func(cc *cli.Context) error {
			cfg, err := load(cc)
			if err != nil {
				return err
			}
			return printed(cc, c.out, strings.Join(linstor.Commands(cfg), "\n")+"\n")
		},
	})
}
