package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
)

// What the tools and the kernel say of one connection and of its data. Each is
// also in the chain of an error that holds the [*host.ExitError] of the tool,
// where a tool has said it.
var (
	// ErrUnknownConnection reports a peer that the configuration or the kernel
	// does not have.
	ErrUnknownConnection = errors.New("unknown DRBD connection")
	// ErrConnected reports a connection that is not StandAlone, so that it
	// takes no order to connect. After [Admin.Disconnect] it may be on its way.
	ErrConnected = errors.New("DRBD connection is not StandAlone")
	// ErrDiscardPrimary reports that the data of a Primary is not discarded. It
	// is also [ErrRefused].
	ErrDiscardPrimary = fmt.Errorf("%w: data of a Primary is not discarded", ErrRefused)
	// ErrDetached reports a volume without a disk attached, of which the kernel
	// knows neither identifiers nor changes.
	ErrDetached = errors.New("DRBD volume has no disk attached")
)

// GI returns the generation identifiers of each volume of r towards peer, the
// name of a connection: by volume, the one line that "drbdsetup get-gi" prints,
// without its end, for package gi. r is as [Admin.Status] returns it; DRBD 8.4
// has one connection, "peer" or "".
//
// The kernel is asked, not the disk, so it works in every state of the
// connection, StandAlone included. It changes nothing.
// A volume that is not attached is [ErrDetached]; all lines are returned or
// none. A peer or a volume that went meanwhile is [ErrUnknownConnection] or
// [ErrUnknownResource].
func (a *Admin) GI(ctx context.Context, r *drbd.Resource, peer string) (map[int]string, error) {
	conn, err := target(r.Kernel84, r.Name, peer)
	if err != nil {
		return nil, err
	}
	lines := map[int]string{}
	for _, d := range r.SortedDevices() {
		args, err := giArgs(r, d, peer)
		if err != nil {
			return nil, err
		}
		out, err := a.m.Run(ctx, host.Cmd{Op: "splitbrain.get-gi", Name: drbdsetup, Args: args})
		if err != nil {
			return nil, fmt.Errorf("generation identifiers of %s volume %d: %w", conn, d.Volume, classifyPeer(err))
		}
		line := strings.TrimSpace(string(out.Stdout))
		// DRBD 8.4 answers without identifiers, and DRBD 9 with zeroes, while a
		// disk is being attached or detached.
		if line == "" || strings.HasPrefix(line, "0000000000000000:") {
			return nil, fmt.Errorf("generation identifiers of %s volume %d: %w", conn, d.Volume, ErrDetached)
		}
		lines[d.Volume] = line
	}
	return lines, someVolumes(len(lines), r)
}

// giArgs returns the arguments of drbdsetup. DRBD 9 keeps identifiers for each
// peer and goes by its node id (drbd-utils user/v9/drbdsetup.c
// show_or_get_gi_cmd), DRBD 8.4 by the minor (user/v84/drbdsetup.c uuids_scmd).
func giArgs(r *drbd.Resource, d *drbd.Device, peer string) ([]string, error) {
	if r.Kernel84 {
		if d.Minor == drbd.Absent {
			return nil, fmt.Errorf("%w: %s volume %d has no minor", ErrUnknownResource, r.Name, d.Volume)
		}
		return []string{"get-gi", strconv.Itoa(d.Minor)}, nil
	}
	c, err := connection(r, peer)
	if err != nil {
		return nil, err
	}
	return []string{"get-gi", r.Name, strconv.Itoa(c.PeerNodeID), strconv.Itoa(d.Volume)}, nil
}

// ChangedBytes returns, by volume, how much of the data here the peer does not
// have as far as this node knows: what was written since the two have last been
// in sync. r is as [Admin.Status] returns it. It is read anew and changes
// nothing.
//
// DRBD 9 tells it of every connection, StandAlone or not. DRBD 8.4 drops a
// StandAlone connection from its events, so there it comes from /proc/drbd. A
// volume without a disk counts 0 in both, so it is [ErrDetached].
func (a *Admin) ChangedBytes(ctx context.Context, r *drbd.Resource, peer string) (map[int]int64, error) {
	conn, err := target(r.Kernel84, r.Name, peer)
	if err != nil {
		return nil, err
	}
	var changed map[int]int64
	if r.Kernel84 {
		changed, err = a.changed84(r)
	} else {
		changed, err = a.changed9(ctx, r.Name, peer)
	}
	if err != nil {
		return nil, fmt.Errorf("changes of %s: %w", conn, err)
	}
	return changed, someVolumes(len(changed), r)
}

func (a *Admin) changed9(ctx context.Context, res, peer string) (map[int]int64, error) {
	r, err := a.Status(ctx, res)
	if err != nil {
		return nil, err
	}
	c, err := connection(r, peer)
	if err != nil {
		return nil, err
	}
	changed := map[int]int64{}
	for _, d := range r.SortedDevices() {
		p := c.PeerDevices[d.Volume]
		if p == nil || p.OutOfSyncBytes == drbd.Absent {
			return nil, fmt.Errorf("%w: volume %d", ErrUnknownConnection, d.Volume)
		}
		if !hasBitmap(d.Disk) {
			return nil, fmt.Errorf("volume %d is %s: %w", d.Volume, d.Disk, ErrDetached)
		}
		changed[d.Volume] = p.OutOfSyncBytes
	}
	return changed, nil
}

func (a *Admin) changed84(r *drbd.Resource) (map[int]int64, error) {
	data, err := a.m.ReadFile(procDRBD)
	if err != nil {
		return nil, fmt.Errorf("read out-of-sync counts: %w", err)
	}
	minors := parseProc84(string(data))
	changed := map[int]int64{}
	for _, d := range r.SortedDevices() {
		m, ok := minors[d.Minor]
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: minor %d is not in %s", ErrUnknownResource, d.Minor, procDRBD)
		case !hasBitmap(m.disk):
			return nil, fmt.Errorf("minor %d is %s: %w", d.Minor, m.disk, ErrDetached)
		}
		changed[d.Volume] = m.outOfSyncBytes
	}
	return changed, nil
}

// minor84 is one volume in the /proc/drbd of DRBD 8.4.
type minor84 struct {
	disk           drbd.DiskState
	outOfSyncBytes int64
}

// parseProc84 returns the volumes of /proc/drbd by minor: those of which it
// tells the disk and what is out of sync, in KiB (DRBD 8.4 drbd/drbd_proc.c
// drbd_seq_show). A volume that is neither attached nor connected has only
// "cs:Unconfigured".
func parseProc84(text string) map[int]minor84 {
	minors := map[int]minor84{}
	minor, disk := drbd.Absent, drbd.DiskState("")
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if n, ok := strings.CutSuffix(fields[0], ":"); ok {
			if i, err := strconv.Atoi(n); err == nil && i >= 0 {
				minor, disk = i, drbd.DiskDiskless
				minors[minor] = minor84{disk: disk}
			}
		}
		for _, f := range fields {
			if both, ok := strings.CutPrefix(f, "ds:"); ok {
				local, _, _ := strings.Cut(both, "/")
				disk = drbd.DiskState(local)
			}
			if count, ok := strings.CutPrefix(f, "oos:"); ok && minor != drbd.Absent {
				if kib, err := strconv.ParseInt(count, 10, 53); err == nil && kib >= 0 {
					minors[minor] = minor84{disk: disk, outOfSyncBytes: kib << 10}
				}
			}
		}
	}
	return minors
}

// hasBitmap reports whether the kernel counts changes of a disk in state d
// (both kernels' drbd_bm_total_weight: 0 below Negotiating).
func hasBitmap(d drbd.DiskState) bool {
	switch d {
	case "", drbd.DiskDiskless, drbd.DiskAttaching, drbd.DiskDetaching, drbd.DiskFailed:
		return false
	}
	return true
}

func someVolumes(n int, r *drbd.Resource) error {
	if n == 0 {
		return fmt.Errorf("%w: %s has no volume", ErrDetached, r.Name)
	}
	return nil
}
