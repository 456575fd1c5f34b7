package initialsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
}

var (
	_ machine     = (*host.Host)(nil)
	_ setup.Stage = (*Stage)(nil)
)

// Options are what a stage works with. All are needed.
type Options struct {
	Machine machine
	Config  *config.Config
	Self    string // this node's name
	Log     *slog.Logger
}

// Stage is the stage "sync". Use [New].
type Stage struct {
	Options
	adm *admin.Admin
}

// New returns the stage.
func New(o Options) *Stage { return &Stage{Options: o, adm: admin.New(o.Machine)} }

// Name returns the stage's name.
func (*Stage) Name() string { return setup.Sync }

// Look returns one item: what the disks of the resource are like.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	it := setup.Item{Object: "synchronisation of " + s.Config.Resource.Name}
	node, ok := s.Config.Node(s.Self)
	if !ok {
		return nil, fmt.Errorf("%s is none of the nodes of the configuration (%s)", s.Self, s.Config.At("node"))
	}
	if node.Diskless {
		it.Action, it.Detail = setup.Keep, "this node has no disk"
		return []setup.Item{it}, nil
	}
	r, err := s.adm.Status(ctx, s.Config.Resource.Name)
	switch {
	case errors.Is(err, admin.ErrUnknownResource), errors.Is(err, admin.ErrModuleNotLoaded), errors.Is(err, host.ErrNotInstalled):
		return s.lookDown(ctx, it)
	case err != nil:
		return nil, err
	}
	switch v := look(r, s.Config); {
	case v.syncing:
		it.Action, it.Detail = setup.Await, fmt.Sprintf("%.1f %% done", 100*v.done)
		it.Why = "the group can be used meanwhile; to interrupt setup here is harmless, DRBD goes on"
		it.Do = s.show
	case len(v.problems) > 0:
		it.Action, it.Detail = setup.Warn, strings.Join(v.problems, ", ")
		it.Why = "there is one copy of the data less: bring the other node up and its connection back (drbdadm status)"
	default:
		it.Action, it.Detail = setup.Keep, "all disks are UpToDate"
	}
	return []setup.Item{it}, nil
}

// lookDown is the item for a resource that is not up.
func (s *Stage) lookDown(ctx context.Context, it setup.Item) ([]setup.Item, error) {
	configured, err := s.adm.Configured(ctx, s.Config.Resource.Name)
	if err != nil && !errors.Is(err, host.ErrNotInstalled) {
		return nil, err
	}
	it.Action, it.Detail, it.Why = setup.Later, "the resource is not there yet", "an earlier stage makes it"
	if configured {
		it.Action, it.Detail = setup.Warn, "the resource is down on this node"
		it.Why = "when the node is not on standby Pacemaker brings it up: pcs status"
	}
	return []setup.Item{it}, nil
}

// LookRemove has nothing to take back.
func (*Stage) LookRemove(context.Context) ([]setup.Item, error) { return nil, nil }

// view is what matters here of one state of the resource.
type view struct {
	syncing   bool
	done      float64 // from 0 to 1, of the volume that is farthest behind
	remaining int64   // bytes
	paused    string  // why a synchronisation that has begun does not go on
	problems  []string
}

// look sums r up.
func look(r *drbd.Resource, c *config.Config) view {
	v := view{done: 1}
	for _, d := range r.SortedDevices() {
		if d.Disk != drbd.DiskUpToDate {
			v.problems = append(v.problems, "disk of this node is "+string(d.Disk))
		}
	}
	live := 0
	for _, conn := range r.SortedConnections() {
		name := peerName(r, conn)
		if n, known := c.Node(conn.Name); known && n.Diskless {
			continue
		}
		live++
		if conn.State != drbd.ConnConnected {
			v.problems = append(v.problems, fmt.Sprintf("%s is not connected (%s)", name, conn.State))
			continue
		}
		for _, p := range conn.SortedPeerDevices() {
			v.add(r, name, p)
		}
	}
	if want := len(c.Diskful()) - 1; live < want {
		v.problems = append(v.problems, fmt.Sprintf("%d of %d other nodes have a connection", live, want))
	}
	return v
}

func (v *view) add(r *drbd.Resource, name string, p *drbd.PeerDevice) {
	if p.Syncing() {
		v.syncing = true
		v.done = min(v.done, r.Progress(p)/100)
		v.remaining += p.OutOfSyncBytes
		if p.ResyncSuspended != "" && p.ResyncSuspended != drbd.SuspendedNo {
			v.paused = fmt.Sprintf("the synchronisation with %s is paused (%s)", name, p.ResyncSuspended)
			if strings.Contains(p.ResyncSuspended, drbd.SuspendedUser) {
				v.paused += ": drbdadm resume-sync " + r.Name
			}
		}
	}
	if p.PeerDisk != drbd.DiskUpToDate && p.PeerClient != drbd.Yes {
		v.problems = append(v.problems, fmt.Sprintf("disk of %s is %s", name, p.PeerDisk))
	}
}

// peerName names the peer for people; DRBD 8.4 has no name.
func peerName(r *drbd.Resource, c *drbd.Connection) string {
	if r.Kernel84 {
		return "the other node"
	}
	return c.Name
}

// show returns when the synchronisation is over. A connection that is lost is
// waited for; one that DRBD has given up is an error.
func (s *Stage) show(ctx context.Context, p setup.Progress) error {
	var pace pace
	for {
		r, err := s.adm.Status(ctx, s.Config.Resource.Name)
		if ctx.Err() != nil {
			return fmt.Errorf("%w; DRBD goes on with the synchronisation", ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("watch the synchronisation: %w", err)
		}
		v := look(r, s.Config)
		problems := strings.Join(v.problems, ", ")
		switch {
		case len(v.problems) == 0:
			p.Fraction(1, "")
			return nil
		case !v.syncing && standAlone(r):
			return fmt.Errorf("the synchronisation of %s has stopped: %s; DRBD has given the connection up, see dmesg and drbdadm status", r.Name, problems)
		case !v.syncing:
			pace = nil
			p.Waiting(problems + "; the synchronisation goes on by itself when the node is back")
		case v.paused != "":
			pace = nil
			p.Waiting(v.paused)
		default:
			pace = pace.add(time.Now(), v.remaining)
			p.Fraction(v.done, pace.text())
		}
		select {
		case <-ctx.Done():
		case <-time.After(setup.PollInterval):
		}
	}
}

// standAlone reports whether a connection of r has been given up. DRBD 8.4
// shows such a connection as missing.
func standAlone(r *drbd.Resource) bool {
	for _, c := range r.SortedConnections() {
		if c.State == drbd.ConnStandAlone {
			return true
		}
	}
	return r.Kernel84 && len(r.Connections) == 0
}

// window is the time over which the rate is taken.
const window = 10 * time.Second

// sample is how much was out of sync at one time.
type sample struct {
	at        time.Time
	remaining int64
}

// pace is the samples of the last window, the oldest first.
type pace []sample

// add returns p with one more sample.
func (p pace) add(at time.Time, remaining int64) pace {
	p = append(p, sample{at, remaining})
	for len(p) > 2 && at.Sub(p[1].at) >= window {
		p = p[1:]
	}
	return p
}

// text is rate and time left, "" while they are not known.
func (p pace) text() string {
	if len(p) == 0 {
		return ""
	}
	first, last := p[0], p[len(p)-1]
	took, got := last.at.Sub(first.at).Seconds(), first.remaining-last.remaining
	if took <= 0 || got <= 0 {
		return ""
	}
	rate := float64(got) / took
	left := time.Duration(float64(last.remaining) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%.0f MiB/s, %s left", rate/(1<<20), left)
}
