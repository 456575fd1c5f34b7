// Command drbdnfs-handler is called by DRBD's kernel, through drbdadm, on a
// split brain and the like; see package handler. DRBD's configuration names it:
//
//	handlers { split-brain "/usr/lib/drbdnfs/drbdnfs-handler split-brain"; }
package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/version"
)

func main() { os.Exit(run(os.Args[1:], handler.Dir, notice.Path)) }

// run is the program with its records in dir and the daemon at socket.
func run(args []string, dir, socket string) int {
	if slices.Equal(args, []string{"--version"}) {
		fmt.Println("drbdnfs-handler version", version.String())
		return 0
	}
	return handler.Run(handler.Options{
		System: host.New(nil), Log: journal.New(journal.Options{Identifier: "drbdnfs-handler"}),
		Environ: os.Environ(), Stderr: os.Stderr, Dir: dir,
		Notify: func(n notice.Notice) error { return notice.Send(socket, n) },
	}, args)
}
