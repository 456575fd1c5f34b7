package check

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

// Machine is what the sources need of this machine. Only what looks is used.
type Machine interface {
	group.System
	BlockDevice(path string) (major, minor int, err error)
}

var _ Machine = (*host.Host)(nil)

// Options are what [Run] needs.
type Options struct {
	Machine Machine
	Config  *config.Config // loaded, with its defaults
	Self    string         // name of this node in the configuration
	Stages  []setup.Stage  // of setup, for this configuration and node
	Version string         // of this build, as drbdnfsd publishes it
	// Dial reaches drbdnfsd's port; nil dials.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// source is one thing to look at. What it saw is set afterwards, so that a
// source that was given up cannot write any more.
type source struct {
	name string
	area Area
	look func(ctx context.Context) (set func(*Facts), err error)
}

// grace is what a program may take to end.
const grace = time.Second

// gather asks all sources at once, each for at most limit, and puts what they
// say into f.
func gather(ctx context.Context, f *Facts, list []source, limit time.Duration) {
	type answer struct {
		set func(*Facts)
		err error
	}
	answers := make([]chan answer, len(list))
	// Programs end with ctx and tell. A file that hangs does not, and is left behind.
	last, done := context.WithTimeout(ctx, limit+grace)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i, s := range list {
		answers[i] = make(chan answer, 1) // never closed: who is late writes for nobody
		go func() {
			set, err := s.look(ctx)
			answers[i] <- answer{set, err}
		}()
	}
	for i, s := range list {
		var a answer
		select {
		case a = <-answers[i]:
		case <-last.Done():
			a.err = last.Err()
		}
		if a.err != nil {
			why := line(a.err.Error())
			if errors.Is(a.err, context.DeadlineExceeded) {
				why = "no answer within " + limit.String()
			}
			f.Unseen = append(f.Unseen, Unseen{s.name, s.area, why})
			continue
		}
		if a.set != nil {
			a.set(f)
		}
	}
}

// line makes a text that comes from outside one line that is safe on a terminal.
func line(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

// Names of the sources that need Pacemaker.
const (
	sourceCluster  = "Pacemaker"
	sourceCIB      = "Pacemaker's configuration"
	sourceHistory  = "history of fencing"
	sourceDeclared = "what the nodes say of themselves"
)

// looker looks at one machine.
type looker struct {
	Options
	node config.Node
	adm  *admin.Admin
	pcmk *pacemaker.Client
	http *http.Client
}

// sources are all that there is to look at on this node.
func (o Options) sources() []source {
	l := &looker{Options: o, adm: admin.New(o.Machine), pcmk: pacemaker.New(o.Machine)}
	l.node, _ = o.Config.Node(o.Self)
	if l.Dial == nil {
		l.Dial = (&net.Dialer{}).DialContext
	}
	l.http = &http.Client{Transport: &http.Transport{DialContext: l.Dial, DisableKeepAlives: true}}
	list := []source{
		{sourceDeclared, Nodes, l.declared},
		{sourceCluster, Cluster, l.cluster},
		{sourceCIB, Cluster, l.cib},
		{"corosync's links", Network, l.links},
		{"corosync.conf", Cluster, l.votes},
		{"DRBD's versions", DRBD, l.drbd},
		{"DRBD's options", DRBD, l.options},
		{"DRBD's handlers", DRBD, l.handler},
		{"units", Services, l.units},
		{"SELinux", Security, l.selinux},
		{"clocks", Nodes, l.clocks},
		{"metrics", Services, l.metrics},
	}
	for _, s := range o.Stages {
		list = append(list, source{"stage " + s.Name() + " of setup", stageArea(s.Name()), l.stage(s)})
	}
	if m := o.Config.Fencing.Mode; m == config.FencingSTONITH || m == config.FencingDRBD {
		list = append(list, source{sourceHistory, Fencing, l.history})
	}
	if l.node.Diskless {
		return list // it never holds data nor serves
	}
	return append(list, []source{
		{"snapshots", Storage, l.kept},
		{"room for snapshots", Storage, l.room},
		{"volume", Storage, l.volume},
		{"NFS state directory", NFS, l.state},
		{"blocked ports", Network, l.block},
		{"NFS ports", NFS, l.ports},
		{"NFS times", NFS, l.times},
	}...)
}

// stage asks one stage of setup.
func (l *looker) stage(s setup.Stage) func(context.Context) (func(*Facts), error) {
	return func(ctx context.Context) (func(*Facts), error) {
		items, err := s.Look(ctx)
		if err != nil {
			return nil, err
		}
		return func(f *Facts) { f.Plan = append(f.Plan, setup.Part{Stage: s.Name(), Items: items}) }, nil
	}
}

// run runs a program and returns what it printed.
func (l *looker) run(ctx context.Context, op, name string, args ...string) (string, error) {
	res, err := l.Machine.Run(ctx, host.Cmd{Op: "check." + op, Name: name, Args: args})
	return string(res.Stdout), err
}

// mounted reports whether the volume is mounted on this node.
func (l *looker) mounted() (bool, error) {
	list, err := l.Machine.Mounts()
	return slices.ContainsFunc(list, func(m host.Mount) bool { return m.Dir == l.Config.Filesystem.Mount }), err
}

func (l *looker) kept(ctx context.Context) (func(*Facts), error) {
	list, err := snapshot.New(l.Machine).List(ctx, l.Config.Resource.Name)
	return func(f *Facts) { f.Kept = &list }, err
}
