package scenario

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

//go:embed files/fence_lab
var fenceAgent string

// stonithConfig turns the scenario's configuration into one with fencing.
const stonithConfig = `s|^mode = "none"|mode = "stonith"|; s/^accept_split_brain.*//
$a [[fencing.device]]\nname = "power"\nagent = "fence_lab"\ntargets = ["drbdtest1", "drbdtest2"]`

// setupStonith is the scenario setup-stonith: the crash scenario with a fence
// device, which resets the dead node.
func setupStonith(ctx context.Context, t *T) error {
	if err := t.setupNodes(ctx); err != nil {
		return err
	}
	power, stop := t.powerSwitch(ctx)
	defer stop()
	install := "cat >/usr/sbin/fence_lab <<'END-OF-AGENT'\n" + fenceAgent + "END-OF-AGENT\nchmod 755 /usr/sbin/fence_lab; sync"
	if err := t.Cluster.Both(ctx, install); err != nil {
		return err
	}
	if err := t.edit(ctx, stonithConfig); err != nil {
		return err
	}
	if err := t.applyAll(ctx); err != nil {
		return err
	}
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	if err := t.MountClient(ctx); err != nil {
		return err
	}
	t.Check(len(power.Actions()) == 0, "fenced before anything failed: %v", power.Actions())
	if err := t.fencedCrash(ctx, active, power); err != nil {
		return err
	}
	return t.nothingToDo(ctx)
}

// powerSwitch starts the lab's power switch. The function that it returns ends
// it and waits for that.
func (t *T) powerSwitch(ctx context.Context) (*rig.Fencer, func()) {
	power := t.Rig.NewFencer()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = power.Run(ctx)
	}()
	return power, func() { cancel(); <-ended }
}

// fencedCrash kills the active node under load. Nobody starts it again but the
// survivor, by fencing.
func (t *T) fencedCrash(ctx context.Context, active string, power *rig.Fencer) error {
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	survivor := rig.Peer(active)
	t.Logf("killing the active node %s (SIGKILL of its QEMU)", active)
	killed := time.Now()
	if err := t.Rig.Kill(active); err != nil {
		return err
	}
	if err := t.WaitWriting(ctx, loads, killed.Add(2*time.Second), backLimit); err != nil {
		return err
	}
	stalls, err := t.Timeline(ctx, survivor, killed, "killed "+active, loads)
	if err != nil {
		return err
	}
	t.stood("crash with fencing", stalls)
	want := "reboot " + active
	t.Check(slices.Contains(power.Actions(), want), "the power switch did %v, want %s", power.Actions(), want)
	t.Check(!slices.ContainsFunc(power.Actions(), func(s string) bool { return strings.HasSuffix(s, survivor) }),
		"the survivor was fenced: %v", power.Actions())
	now, err := t.Cluster.WaitReady(ctx, backLimit)
	if err != nil {
		return fmt.Errorf("the fenced node's return: %w", err)
	}
	t.Check(now == survivor, "the service runs on %s, want it to stay on %s", now, survivor)
	if err := t.noDouble(ctx); err != nil {
		return err
	}
	return t.StopLoads(ctx, loads)
}
