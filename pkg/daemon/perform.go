package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// drbdMajor is the device number that DRBD has had since it was given one.
const drbdMajor = 147

// performer does what a machine asks for, beside the owner. It copies what it
// needs of the owner's, and otherwise uses only what may be used by several.
type performer struct {
	*owner
	talkKey
	connection string
	peerID     int
	group      string // Pacemaker's primitive; "" is not ours
	// peerChanged is how many bytes of each volume the peer has changed.
	peerChanged map[int]int64
}

// errMoved reports that a look found something else than was decided upon.
var errMoved = errors.New("it is not as it was when this was decided")

// setMarker keeps this node from being promoted: the agent reads the file, and a
// rule of the cluster the attribute.
func (p performer) setMarker(ctx context.Context) error {
	if p.group == "" {
		return errors.New("the resource is not the one of the configuration")
	}
	why := fmt.Sprintf("%s: what this node wrote is discarded, %s keeps its data", time.Now().UTC().Format(time.RFC3339), p.peer)
	if err := marker.Set(p.o.Host, p.resource, why); err != nil {
		return err
	}
	return p.cluster.do(ctx, func(ctx context.Context) error {
		return p.cluster.client.SetNodeAttribute(ctx, cib.VictimAttribute(p.resource), "1")
	})
}

// clearMarker takes both back. Without a cluster there is no attribute.
func (p performer) clearMarker(ctx context.Context) error {
	there, err := marker.There(p.o.Host, p.resource)
	if err != nil || !there {
		return err
	}
	err = p.cluster.do(ctx, func(ctx context.Context) error {
		return p.cluster.client.ClearNodeAttribute(ctx, cib.VictimAttribute(p.resource))
	})
	if err != nil && !noCluster(err) {
		return err
	}
	return marker.Clear(p.o.Host, p.resource)
}

// identify reads the identifiers and the changed bytes of all volumes.
func (p performer) identify(ctx context.Context) ([]splitbrain.Volume, error) {
	r, err := p.admin.Status(ctx, p.resource)
	if err != nil {
		return nil, err
	}
	return p.volumes(ctx, r)
}

func (p performer) volumes(ctx context.Context, r *drbd.Resource) ([]splitbrain.Volume, error) {
	lines, err := p.admin.GI(ctx, r, p.connection)
	if err != nil {
		return nil, err
	}
	changed, err := p.admin.ChangedBytes(ctx, r, p.connection)
	if err != nil {
		return nil, err
	}
	return splitbrain.VolumesOf(r, lines, changed)
}

// locked runs f while no action of the agent runs.
func (p performer) locked(ctx context.Context, f func() error) error {
	if p.group == "" {
		return f()
	}
	if err := p.o.Host.MkdirAll("run.dir", group.RunDir, 0o700); err != nil {
		return err
	}
	unlock, err := p.o.Host.Lock(ctx, group.RunDir+"/"+p.group+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

// look reads everything afresh.
func (p performer) look(ctx context.Context, e splitbrain.Look) splitbrain.Input {
	in := splitbrain.Looked{Ticket: e.Ticket}
	in.Err = p.locked(ctx, func() error {
		r, err := p.admin.Status(ctx, p.resource)
		if err != nil {
			return err
		}
		in.State = stateOf(r, p.peerID, time.Now())
		local, err := p.lookLocal(ctx, r)
		if err != nil {
			return err
		}
		in.Promoted, in.Mounted = local.Promoted, local.Mounted
		in.Volumes, err = p.volumes(ctx, r)
		return err
	})
	return in
}

// lookLocal is whether the group runs here. The times are the owner's.
func (p performer) lookLocal(ctx context.Context, r *drbd.Resource) (splitbrain.Local, error) {
	l := splitbrain.Local{Promoted: drbd.No}
	var err error
	if l.Mounted, err = p.mounted(r); err != nil {
		return l, err
	}
	if p.group != "" {
		l.Promoted = p.promoted(ctx)
	}
	l.PrimarySince, l.LastPromoted = p.times.of(p.resource)
	return l, nil
}

// mounted reports whether a volume of r has a file system mounted.
func (p performer) mounted(r *drbd.Resource) (drbd.Tri, error) {
	mounts, err := p.o.Host.Mounts()
	if err != nil {
		return drbd.Unknown, fmt.Errorf("look for mounts of %s: %w", r.Name, err)
	}
	for _, d := range r.SortedDevices() {
		for _, m := range mounts {
			if m.Major == drbdMajor && m.Minor == d.Minor || m.Source == "/dev/drbd"+strconv.Itoa(d.Minor) {
				return drbd.Yes, nil
			}
		}
	}
	return drbd.No, nil
}

// promoted asks Pacemaker. Where it does not answer nobody knows.
func (p performer) promoted(ctx context.Context) drbd.Tri {
	st, err := p.cluster.client.Status(ctx)
	switch {
	case err != nil, !st.HasDC: // without a coordinator the rest may be out of date
		return drbd.Unknown
	case slices.Contains(st.Promoted(p.group), p.self), st.Pending(p.group) != "" && slices.Contains(st.Running(p.group), p.self) && len(st.Promoted(p.group)) == 0:
		return drbd.Yes // or about to be
	}
	return drbd.No
}

// snapshot keeps what is going to be discarded, of all volumes or of none.
func (p performer) snapshot(ctx context.Context, e splitbrain.Snapshot) splitbrain.Input {
	in := splitbrain.Snapshotted{Ticket: e.Ticket}
	r, err := p.admin.Status(ctx, p.resource)
	if err != nil {
		in.Err = err
		return in
	}
	devices, err := p.admin.BackingDevices(ctx, r)
	if err != nil {
		in.Err = err
		return in
	}
	changed, err := p.admin.ChangedBytes(ctx, r, p.connection)
	if err != nil {
		in.Err = err
		return in
	}
	var names []string
	for _, d := range r.SortedDevices() {
		s, err := p.snapshots.Make(ctx, snapshot.Request{
			Resource: p.resource, Volume: d.Volume, BackingDev: devices[d.Volume], Incident: e.Incident,
			ChangedBytes: both(changed, p.peerChanged, d.Volume), When: time.Now(),
		})
		if err != nil {
			in.Err = err
			return in
		}
		names = append(names, s.Name)
	}
	in.Name = strings.Join(names, " ")
	return in
}

// both is what a resync is going to overwrite of a volume: what either side has
// changed. Negative is not known.
func both(own, peer map[int]int64, volume int) snapshot.Bytes {
	a, known := own[volume]
	b, peerKnown := peer[volume]
	if !known || !peerKnown || a < 0 || b < 0 {
		return -1
	}
	return snapshot.Bytes(a + b)
}

// connectTries is how often DRBD 9 is asked to connect while it still
// disconnects, which it waits for one second.
const connectTries = 10

// retried repeats f while the connection is on its way to StandAlone.
func retried(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if !errors.Is(err, admin.ErrConnected) || n == connectTries || !sleep(ctx, time.Second) {
			return err
		}
	}
}

// discard gives the order. It is the one irreversible thing that the daemon does.
func (p performer) discard(ctx context.Context, e splitbrain.Discard, busy error) splitbrain.Input {
	in := splitbrain.Discarded{Ticket: e.Ticket, Sent: drbd.No, Err: busy}
	if busy != nil {
		return in
	}
	in.Err = p.locked(ctx, func() error {
		if err := p.asExpected(ctx, e.Expect); err != nil {
			return err
		}
		if err := p.admin.Disconnect(ctx, p.resource, p.connection); err != nil {
			return err
		}
		err := retried(ctx, func() error { return p.admin.ConnectDiscard(ctx, p.resource, p.connection) })
		switch {
		case err == nil:
			in.Sent = drbd.Yes
		case !errors.Is(err, admin.ErrDiscardPrimary) && !errors.Is(err, admin.ErrConnected):
			in.Sent = drbd.Unknown
		}
		return err
	})
	return in
}

// asExpected is the last look before data is discarded.
func (p performer) asExpected(ctx context.Context, want []splitbrain.Volume) error {
	r, err := p.admin.Status(ctx, p.resource)
	if err != nil {
		return err
	}
	if r.Role != drbd.RoleSecondary {
		return fmt.Errorf("%s is %s here: %w", p.resource, r.Role, errMoved)
	}
	if m, err := p.mounted(r); err != nil || m != drbd.No {
		return errors.Join(fmt.Errorf("%s is mounted here: %w", p.resource, errMoved), err)
	}
	if s := splitbrain.StateOf(r, p.peerID, time.Now()); s.Live {
		return fmt.Errorf("%s is connected: %w", p.resource, errMoved)
	}
	have, err := p.volumes(ctx, r)
	if err != nil {
		return err
	}
	if !splitbrain.Unchanged(want, have) {
		return fmt.Errorf("%s has other generation identifiers: %w", p.resource, errMoved)
	}
	return nil
}

// drop takes the order back, unless the peer has answered it.
func (p performer) drop(ctx context.Context) error {
	return p.locked(ctx, func() error {
		r, err := p.admin.Status(ctx, p.resource)
		if errors.Is(err, admin.ErrUnknownResource) || errors.Is(err, admin.ErrModuleNotLoaded) {
			return nil // gone with the connection
		}
		if err != nil {
			return err
		}
		if splitbrain.StateOf(r, p.peerID, time.Now()).Live {
			return nil
		}
		return p.admin.Withdraw(ctx, p.resource, p.connection)
	})
}

// reconnect lets the survivor meet the victim.
func (p performer) reconnect(ctx context.Context) error {
	if err := p.admin.Disconnect(ctx, p.resource, p.connection); err != nil {
		return err
	}
	return retried(ctx, func() error { return p.admin.Connect(ctx, p.resource, p.connection) })
}
