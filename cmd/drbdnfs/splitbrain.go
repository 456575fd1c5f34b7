package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/notice"
)

// splitBrainCommand is "drbdnfs split-brain".
func splitBrainCommand(c console) *cli.Command {
	lift := &cli.Command{
		Name: "lift", Usage: "have this node's drbdnfsd forget why a split brain is held, and try again", ArgsUsage: "RESOURCE",
		Description: "Mend the cause first. Nothing is discarded that the policy does not say, and neither a promise to the peer nor an\n" +
			"order that DRBD may still hold is taken back. Run it on both nodes.",
		Action: func(cc *cli.Context) error { return liftHold(c, cc, notice.Path) },
	}
	return group("split-brain", "after a split brain", showCommand(c), resolveCommand(c), snapshotsCommand(c), lift)
}

// liftHold tells the daemon that listens at socket.
func liftHold(c console, cc *cli.Context, socket string) error {
	if cc.NArg() != 1 {
		return usageError("lift takes one DRBD resource")
	}
	h, _ := newHost(c, cc)
	node, err := h.Hostname()
	if err != nil {
		return err
	}
	resource := cc.Args().First()
	err = notice.Send(socket, notice.Notice{Node: node, When: time.Now(), Lift: &notice.Lift{Resource: resource}})
	if err != nil {
		return fmt.Errorf("drbdnfsd was not told: %w: systemctl start drbdnfsd", err)
	}
	_, err = fmt.Fprintf(c.out, "drbdnfsd was told; it logs what it does: journalctl -t drbdnfsd RESOURCE=%s -f\n", resource)
	return err
}
