package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// Facts is what Inspect saw: the group on this node, piece by piece.
type Facts struct {
	Recorded       bool           // an action has run here since the last boot
	DRBD           *drbd.Resource // nil: not up
	Blocked        bool           // the service's ports are blocked
	Mount          mount.State
	Place          nfs.Place // where /var/lib/nfs leads
	Daemons        bool      // something runs in the daemons' unit
	DaemonsMissing []string  // programs that should run there and do not
	Threads        int       // nfsd threads
	ThreadsOurs    bool      // started by this program
	Addresses      []vip.State
	ExportsMissing []nfs.Export // of the configured ones; only looked at while the volume is in use
	ExportsUnknown string       // why the table of exports could not be read
	Victim         bool         // drbdnfsd has agreed to discard what this node wrote in a split brain
}

// Inspect looks at every piece of the group on this node. It changes nothing,
// runs nothing but one drbdsetup (and that only with the module loaded), and does no I/O on
// the volume except reading the export table, which this node has just
// written, while DRBD does not hold back I/O.
func (g *Group) Inspect(ctx context.Context) (Facts, error) {
	var f Facts
	type drbdAnswer struct {
		r   *drbd.Resource
		err error
	}
	answer := make(chan drbdAnswer, 1) // DRBD's program runs while the kernel is read
	go func() {
		r, err := g.quickStatus(ctx)
		answer <- drbdAnswer{r, err}
	}()
	err := g.inspectKernel(ctx, &f)
	a := <-answer
	f.DRBD = a.r
	if a.err == nil {
		g.seen = a.r
	}
	var markErr error
	f.Victim, markErr = g.victim(a.r)
	if err := errors.Join(err, a.err, markErr); err != nil {
		return f, err
	}
	if device := g.device(f.DRBD); device != "" {
		if f.Mount, err = g.filesystem(device).Status(); err != nil {
			return f, err
		}
	}
	if f.Mount == mount.Mounted && f.Place == nfs.PlaceVolume && f.DRBD != nil && f.DRBD.Suspended.None() {
		g.inspectExports(ctx, &f)
	}
	return f, nil
}

// victim reports whether what this node wrote is to be discarded. A marker that
// was left behind means nothing once the node has good data of a peer at hand.
func (g *Group) victim(r *drbd.Resource) (bool, error) {
	there, err := marker.There(g.sys, g.cfg.Resource)
	if err != nil || !there {
		return false, err
	}
	if r == nil {
		return true, nil
	}
	for _, d := range r.Devices {
		if r.GoodPeer(d.Volume) == "" {
			return true, nil
		}
	}
	return false, nil
}

func (g *Group) inspectKernel(ctx context.Context, f *Facts) error {
	var errs [4]error
	if g.recorded {
		// Without a record no action has run since the last boot, so that nothing
		// can be blocked; to ask would load nf_tables, which a probe must not do.
		f.Blocked, errs[0] = g.block.Status(ctx)
	}
	f.Place, errs[1] = g.state.Place()
	f.Threads, errs[2] = g.server.Threads()
	f.Addresses, errs[3] = g.vips.Status(ctx)
	f.ThreadsOurs = g.threadsOurs()
	f.Recorded = g.recorded
	f.Daemons = g.daemons.Running()
	f.DaemonsMissing = g.daemons.Missing()
	return errors.Join(errs[:]...)
}

// tablePatience is how long the export table may take to be read. It is in the
// page cache; if it was evicted and the disk hangs, the monitor must still
// answer.
const tablePatience = 2 * time.Second

func (g *Group) inspectExports(ctx context.Context, f *Facts) {
	type table struct {
		data []byte
		err  error
	}
	read := make(chan table, 1)
	go func() {
		data, err := g.sys.ReadFile(nfs.EtabPath)
		read <- table{data, err}
	}()
	select {
	case t := <-read:
		if t.err != nil {
			f.ExportsUnknown = t.err.Error()
			return
		}
		f.ExportsMissing = nfs.Missing(g.cfg.Exports, string(t.data))
	case <-ctx.Done():
		f.ExportsUnknown = ctx.Err().Error()
	case <-time.After(tablePatience):
		f.ExportsUnknown = fmt.Sprintf("%s is not readable within %v: the volume hangs", nfs.EtabPath, tablePatience)
	}
}

// Pieces names what of a promotion is in place, Primary included. A node that
// is Unpromoted has none.
func (f Facts) Pieces() []string {
	var out []string
	add := func(there bool, what string) {
		if there {
			out = append(out, what)
		}
	}
	add(f.DRBD != nil && f.DRBD.Role == drbd.RolePrimary, "DRBD Primary")
	add(f.Blocked, "port block")
	add(f.Mount == mount.Mounted || f.Mount == mount.ReadOnly, "mount")
	// The link outlives a reset, so by itself it is evidence of nothing.
	add(f.Recorded && (f.Place == nfs.PlaceVolume || f.Place == nfs.PlaceMissing), "NFS state link")
	add(f.Daemons, "NFS daemons")
	add(f.Threads > 0 && f.ThreadsOurs, "nfsd")
	for _, a := range f.Addresses {
		add(a.Present, "address "+a.VIP.Addr().String())
	}
	return out
}

// Broken names what is missing for clients to be served, the cause before its
// consequences. A group that is promoted and healthy has none.
func (f Facts) Broken() []string {
	var out []string
	add := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	out = append(out, brokenDRBD(f.DRBD)...)
	switch f.Mount {
	case mount.NotMounted:
		out = append(out, "the volume is not mounted")
	case mount.ReadOnly:
		out = append(out, "the volume is mounted read-only")
	case mount.Foreign:
		out = append(out, "another file system is mounted on the directory")
	}
	add(f.Place != nfs.PlaceVolume, "%s does not lead to the volume", nfs.Dir)
	for _, program := range f.DaemonsMissing {
		add(true, "%s is not running", program)
	}
	add(f.Threads == 0, "no nfsd thread is running")
	add(f.Threads > 0 && !f.ThreadsOurs, "nfsd was started by somebody else")
	for _, e := range f.ExportsMissing {
		add(true, "%s is not exported to %s", e.Path, e.Client)
	}
	add(f.ExportsUnknown != "", "exports: %s", f.ExportsUnknown)
	for _, a := range f.Addresses {
		add(!a.Present, "address %s is missing", a.VIP.Addr())
		add(a.Present && !a.InPlace, "address %s is on %s in the wrong form", a.VIP.Addr(), a.Interface)
	}
	add(f.Blocked, "the ports are blocked")
	return out
}

func brokenDRBD(r *drbd.Resource) []string {
	if r == nil {
		return []string{"DRBD is down"}
	}
	var out []string
	if r.Role != drbd.RolePrimary {
		out = append(out, "DRBD is "+string(r.Role))
	}
	if r.Suspended.Has(drbd.SuspendedQuorum) || r.Suspended.Has(drbd.SuspendedNoData) {
		out = append(out, "DRBD I/O is suspended ("+string(r.Suspended)+")")
	}
	if r.ForceIOFailures == drbd.Yes {
		out = append(out, "DRBD fails all I/O until the volume is unmounted")
	}
	for _, d := range r.SortedDevices() {
		if d.Quorum == drbd.No {
			out = append(out, "DRBD has no quorum")
		}
		if !goodData(r, d) {
			out = append(out, fmt.Sprintf("no UpToDate data is reachable (local disk %s)", d.Disk))
		}
	}
	return out
}

// goodData reports whether the volume can be read: here or through a peer.
func goodData(r *drbd.Resource, d *drbd.Device) bool {
	return d.Disk == drbd.DiskUpToDate || r.GoodPeer(d.Volume) != ""
}

// Eligible says why this node must not be promoted although its data is good,
// or "".
func (f Facts) Eligible() string {
	switch {
	case f.Threads > 0 && !f.ThreadsOurs:
		return "systemctl disable --now nfs-server: " + ErrForeignServer.Error()
	case f.Mount == mount.Foreign:
		return "umount the other file system on the directory"
	case f.Victim:
		return "journalctl -t drbdnfsd: split brain, what this node wrote is to be discarded"
	}
	return ""
}

// IsMissing reports whether err says that this node cannot run the group: a
// program or the DRBD resource's configuration is not there.
func IsMissing(err error) bool {
	return errors.Is(err, admin.ErrUnknownResource) || errors.Is(err, admin.ErrBrokenConfig)
}
