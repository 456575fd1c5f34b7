package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bridge is the name of the bridge inside the namespace. It holds .1, from which
// the lab's ssh comes.
const (
	bridge        = "br0"
	bridgeAddress = "192.168.2.1/24"
)

func (r *Rig) tap(m Machine) string { return "tap-" + strings.TrimPrefix(m.Name, "drbd") }

// ip runs an ip(8) command in the lab's namespace.
func (r *Rig) ip(ctx context.Context, args ...string) (string, error) {
	return run(ctx, append([]string{"ip", "-n", r.Netns}, args...)...)
}

// EnsureNetwork makes what is missing of the namespace, the bridge and the taps.
// It leaves alone what is there, so running machines keep their links.
func (r *Rig) EnsureNetwork(ctx context.Context) error {
	if !r.netnsUsable(ctx) {
		// A name without a namespace behind it is what a killed run or a
		// restart of the machine's /run leaves.
		_, _ = run(ctx, "ip", "netns", "del", r.Netns)
		_ = os.Remove(filepath.Join("/run/netns", r.Netns))
		if _, err := run(ctx, "ip", "netns", "add", r.Netns); err != nil {
			return err
		}
	}
	if _, err := r.ip(ctx, "link", "show", bridge); err != nil {
		if _, err := r.ip(ctx, "link", "add", bridge, "type", "bridge", "forward_delay", "0", "stp_state", "0"); err != nil {
			return err
		}
	}
	if _, err := r.ip(ctx, "addr", "replace", bridgeAddress, "dev", bridge); err != nil {
		return err
	}
	for _, link := range []string{"lo", bridge} {
		if _, err := r.ip(ctx, "link", "set", link, "up"); err != nil {
			return err
		}
	}
	for _, m := range Machines() {
		if err := r.ensureTap(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) netnsUsable(ctx context.Context) bool {
	_, err := r.ip(ctx, "link", "show", "lo")
	return err == nil
}

func (r *Rig) ensureTap(ctx context.Context, m Machine) error {
	tap := r.tap(m)
	if _, err := r.ip(ctx, "link", "show", tap); err != nil {
		if _, err := r.ip(ctx, "tuntap", "add", "dev", tap, "mode", "tap"); err != nil {
			return fmt.Errorf("tap of %s: %w", m.Name, err)
		}
	}
	if _, err := r.ip(ctx, "link", "set", tap, "master", bridge); err != nil {
		return err
	}
	return r.SetLink(ctx, m.Name, true)
}

// SetLink plugs or unplugs a machine's network cable.
func (r *Rig) SetLink(ctx context.Context, name string, up bool) error {
	m, err := MachineByName(name)
	if err != nil {
		return err
	}
	state := "down"
	if up {
		state = "up"
	}
	_, err = r.ip(ctx, "link", "set", r.tap(m), state)
	return err
}

// removeNetwork deletes the namespace and with it the bridge and the taps.
func (r *Rig) removeNetwork(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join("/run/netns", r.Netns)); err != nil {
		return nil
	}
	return Poll(ctx, "the namespace to go", 10*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := run(ctx, "ip", "netns", "del", r.Netns)
		return err
	})
}
