package sides

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// askLimit bounds each question.
const askLimit = 5 * time.Second

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	BlockDevice(path string) (major, minor int, err error)
	Mounts() ([]host.Mount, error)
}

var _ machine = (*host.Host)(nil)

// Pair is one resource on two nodes, of which the first is this one.
type Pair struct {
	Resource string `json:"resource"`
	Node     string `json:"node"`
	Peer     string `json:"peer"`
}

// Facts is what was seen of a pair.
type Facts struct {
	Pair
	Now       time.Time // in the zone of the people who read it
	Running   bool      // this node's daemon listens
	Evidence  map[string]splitbrain.Evidence
	Record    *splitbrain.Record   // of this node's daemon; nil: there is none
	Own       *splitbrain.Evidence // as DRBD says here, where the daemon does not
	Snapshots []snapshot.Snapshot  // of the resource, on this node
	Unknown   []string             // what could not be asked, and why
}

// Options are how a [Looker] sees the machine.
type Options struct {
	Host     machine
	StateDir string      // the daemon's
	Listens  func() bool // whether this node's daemon does
}

// Looker looks. It is safe for concurrent use.
type Looker struct {
	o       Options
	cluster *pacemaker.Client
	drbd    *admin.Admin
	keeper  *snapshot.Keeper
}

// New returns a looker of one machine.
func New(o Options) *Looker {
	return &Looker{o: o, cluster: pacemaker.New(o.Host), drbd: admin.New(o.Host), keeper: snapshot.New(o.Host)}
}

// Recorded returns the pairs that this node's daemon has records of.
func (l *Looker) Recorded(node string) ([]Pair, error) {
	names, err := l.o.Host.ReadDir(l.o.StateDir + "/split-brain")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("records of split brains: %w", err)
	}
	var pairs []Pair
	for _, name := range names {
		if resource, peer, ok := splitbrain.ParseRecordFile(name); ok {
			pairs = append(pairs, Pair{resource, node, peer})
		}
	}
	return pairs, nil
}

// Look sees what can be seen of p. What cannot is in [Facts.Unknown]; each
// question takes at most 5 s.
func (l *Looker) Look(ctx context.Context, p Pair) Facts {
	f := Facts{Pair: p, Now: time.Now(), Running: l.o.Listens()}
	data, err := l.o.Host.ReadFile(l.o.StateDir + "/split-brain/" + splitbrain.RecordFile(p.Resource, p.Peer))
	if err == nil {
		r, err := splitbrain.UnmarshalRecord(data)
		f.note("this node's record", err)
		f.Record = &r
		if err != nil {
			f.Record = nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		f.note("this node's record", err)
	}
	f.Evidence, err = l.Evidence(ctx, p)
	f.note("what the nodes say, in Pacemaker's attributes", err)
	if _, says := f.Evidence[p.Node]; !f.Running || !says {
		f.Own, err = l.own(ctx, p)
		f.note("DRBD on this node", err)
	}
	asked, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	f.Snapshots, err = l.keeper.List(asked, p.Resource)
	f.note("the snapshots of this node", err)
	return f
}

func (f *Facts) note(what string, err error) {
	if err != nil {
		f.Unknown = append(f.Unknown, clean(what+": "+err.Error()))
	}
}

// Evidence returns what the nodes of p have published, by node.
func (l *Looker) Evidence(ctx context.Context, p Pair) (map[string]splitbrain.Evidence, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	values, err := l.cluster.Query(ctx, splitbrain.Attribute(p.Resource, p.Node, p.Peer))
	out := map[string]splitbrain.Evidence{}
	for _, node := range []string{p.Node, p.Peer} {
		value, there := values[node]
		if !there {
			continue
		}
		e, bad := splitbrain.UnmarshalEvidence(string(value))
		if bad == nil && (e.Node != node || e.Resource != p.Resource) {
			bad = fmt.Errorf("%w: of %s and %s", splitbrain.ErrEvidence, e.Node, e.Resource)
		}
		if bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		out[node] = e
	}
	return out, err
}

// own is this node's part without its daemon. Nothing is said of Pacemaker.
func (l *Looker) own(ctx context.Context, p Pair) (*splitbrain.Evidence, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := l.drbd.Status(ctx, p.Resource)
	if err != nil {
		return nil, err
	}
	id, name := drbd.Absent, p.Peer
	if r.Kernel84 {
		id, name = 0, drbd.Name84
	}
	for n, c := range r.Connections {
		if c.Name == name {
			id = n
		}
	}
	s := splitbrain.StateOf(r, id, time.Time{})
	e := &splitbrain.Evidence{Standing: splitbrain.Standing{
		Node: p.Node, Resource: p.Resource, Peer: p.Peer, Live: s.Live, Role: s.Role, Connection: s.Connection, OtherNodes: s.OtherNodes,
	}}
	if s.Live {
		return e, nil
	}
	lines, err := l.drbd.GI(ctx, r, name)
	if err != nil {
		return e, err
	}
	changed, err := l.drbd.ChangedBytes(ctx, r, name)
	if err != nil {
		return e, err
	}
	e.Volumes, err = splitbrain.VolumesOf(r, lines, changed)
	slices.SortFunc(e.Volumes, func(a, b splitbrain.Volume) int { return a.Volume - b.Volume })
	return e, err
}

// Resync says how far the volume of p has come on this node, once the nodes are
// connected.
func (l *Looker) Resync(ctx context.Context, p Pair) string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := l.drbd.Status(ctx, p.Resource)
	if err != nil {
		return "whether the resync is done is not known: " + clean(err.Error())
	}
	var left int64
	running := false
	for _, c := range r.Connections {
		for _, d := range c.PeerDevices {
			running = running || d.Replication != drbd.ReplEstablished && d.Live()
			left += max(0, d.OutOfSyncBytes)
		}
	}
	if !running {
		return "the resync is done"
	}
	return fmt.Sprintf("the resync runs, %s to go: drbdadm status %s", snapshot.Bytes(left), p.Resource)
}
