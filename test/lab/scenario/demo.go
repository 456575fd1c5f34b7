package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Up brings the machines up and, where that has not been done, the cluster with
// our CIB on them.
func (e *Env) Up(ctx context.Context) error {
	t := &T{Env: e, Name: "up", begin: time.Now()}
	active, err := t.Ready(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Out, "The service runs on %s; the client has it mounted on %s (v3) and %s (v4.2).\n", active, mountV3, mountV4)
	return nil
}

// Demo shows a failover to a person.
func (e *Env) Demo(ctx context.Context) error {
	t := &T{Env: e, Name: "demo", begin: time.Now()}
	say := func(format string, args ...any) { fmt.Fprintf(e.Out, "\n== "+format+"\n", args...) }
	say("Bringing up two storage nodes and a client (the first time this builds an image)")
	active, err := t.Ready(ctx)
	if err != nil {
		return fmt.Errorf("%w\nlogs: %s", err, e.Collect(ctx, "demo"))
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		t.runCleanups(clean)
	}()
	say("The cluster: one resource, promoted on %s", active)
	text, err := e.Rig.SSH(ctx, active, "crm_mon --one-shot --exclude=failures; ip -br -4 addr show ens3; grep ' /home/nfs ' /proc/mounts; exportfs -v")
	if err != nil {
		return err
	}
	fmt.Fprint(e.Out, text)
	say("A client writes on NFS v3 and v4.2, one record every %s, each with fsync", writeEvery)
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	say("Power off for the active node %s", active)
	stalls, err := t.crashRound(ctx, active, loads)
	if err != nil {
		return fmt.Errorf("%w\nlogs: %s", err, e.Collect(ctx, "demo"))
	}
	say("Checking every acknowledged write")
	if err := t.StopLoads(ctx, loads); err != nil {
		return err
	}
	if len(t.failed) > 0 {
		return fmt.Errorf("demo: %v\nlogs: %s", t.failed, e.Collect(ctx, "demo"))
	}
	text, err = e.Rig.SSH(ctx, rig.Peer(active), "crm_mon --one-shot --exclude=failures")
	if err != nil {
		return err
	}
	fmt.Fprint(e.Out, text)
	fmt.Fprintf(e.Out, `
The client waited %s and lost nothing.

Look around:  scripts/lab status
              scripts/lab ssh %s crm_mon -1        (or drbdtest2, client)
              scripts/lab ssh %s journalctl -t drbdnfs -b
Clean up:     scripts/lab down      (remove: deletes the disks as well)
`, stalls, rig.Node1, rig.Peer(active))
	return nil
}
