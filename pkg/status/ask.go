package status

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// Words of the sources, Unknown.Source.
const (
	sourceConfig    = "config"
	sourceCrmMon    = "crm_mon"
	sourceCIB       = "cib"
	sourceDRBD      = "drbd"
	sourceAddresses = "addresses"
	sourceUnits     = "units"
	sourceGroup     = "group"
	sourceNFS       = "nfs"
	sourceSockets   = "sockets"
	sourceEvidence  = "evidence"
	sourceRecords   = "records"
	sourceJournal   = "journal"
	sourceSnapshots = "snapshots"
)

// Source is one of the sources of a picture.
type Source struct {
	Word string // Unknown.Source
	Text string // what is asked, for people
}

// Sources are all of them.
func Sources() []Source {
	return []Source{
		{sourceConfig, "the configuration file of this node"},
		{sourceCrmMon, "Pacemaker: `crm_mon`"},
		{sourceCIB, "Pacemaker's configuration and last operations: `cibadmin --query`"},
		{sourceDRBD, "DRBD on this node: `drbdsetup events2 --now`, `/proc/drbd`"},
		{sourceAddresses, "the addresses of this node"},
		{sourceUnits, "whether `drbdnfsd`, and LINSTOR, run on this node"},
		{sourceGroup, "the parts of the service on this node: mount, link, NFS server, exports; only root sees all"},
		{sourceNFS, "NFS at the service addresses: a NULL call"},
		{sourceSockets, "the clients that are connected to this node"},
		{sourceEvidence, "what the nodes say of split brains: attributes in Pacemaker"},
		{sourceRecords, "what `drbdnfsd` of this node remembers of split brains, and its marker; only root may read it"},
		{sourceJournal, "the journal of this node"},
		{sourceSnapshots, "the snapshots that this node keeps: `lvs`; only root sees them"},
	}
}

// first begins the questions that need no other's answer.
func (k *look) first() {
	k.ask(sourceConfig, k.askConfig)
	k.ask(sourceCrmMon, k.askCrmMon)
	k.ask(sourceCIB, k.askCIB)
	k.ask(sourceDRBD, k.askDRBD)
	k.ask(sourceAddresses, func(ctx context.Context) (answer, error) {
		list, err := k.l.o.Host.Addresses(ctx)
		return func(f *Facts) { f.Addresses = list }, err
	})
}

// next begins the questions that need an answer that has come. It is called with
// the look locked, after each answer.
func (k *look) next() {
	if !k.planned && k.plan() {
		k.planned = true
		k.second()
	}
	// LVM is slow, and what it tells the least urgent.
	if !k.late && !k.waiting[sourceCrmMon] && !k.waiting[sourceCIB] && !k.waiting[sourceDRBD] {
		k.late = true
		k.ask(sourceSnapshots, k.askSnapshots)
	}
}

// plan reports whether it is known what the cluster is meant to be: by the
// file, or when that cannot be used by the CIB.
func (k *look) plan() bool {
	if k.f.Plan != nil {
		return true
	}
	if k.waiting[sourceConfig] || k.f.CIB == nil {
		return false
	}
	p, err := planOfCIB(k.f.CIB)
	if err != nil {
		if !errors.Is(err, errNoGroup) {
			k.miss(sourceGroup, err)
		}
		return false
	}
	k.f.Plan = p
	return true
}

// second begins the questions that need the plan.
func (k *look) second() {
	p, h := k.f.Plan, k.l.o.Host
	k.f.takeResource()
	k.ask(sourceUnits, func(context.Context) (answer, error) { return k.askUnits(p), nil })
	k.ask(sourceGroup, func(ctx context.Context) (answer, error) { return k.askGroup(ctx, p) })
	k.ask(sourceNFS, func(ctx context.Context) (answer, error) {
		replies := call(ctx, h, p)
		return func(f *Facts) { f.Replies = replies }, nil
	})
	k.ask(sourceSockets, func(ctx context.Context) (answer, error) { return k.askSockets(ctx, p) })
	k.ask(sourceEvidence, func(ctx context.Context) (answer, error) { return k.askEvidence(ctx, p) })
	k.ask(sourceRecords, func(context.Context) (answer, error) { return k.askRecords(p) })
	self := k.f.Self
	k.ask(sourceJournal, func(ctx context.Context) (answer, error) {
		res, err := h.Run(ctx, host.Cmd{Op: "status.journal", Name: "journalctl", Args: journalArgs(p.Group)})
		return func(f *Facts) { f.Journal = parseJournal(self, p.Group, res.Stdout) }, err
	})
}

func (k *look) askConfig(context.Context) (answer, error) {
	file := k.l.o.ConfigFile
	data, err := k.l.o.Host.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return func(f *Facts) { f.Config = ConfigMissing }, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := config.Parse(file, data)
	var p *Plan
	if err == nil {
		p, err = planOfConfig(c)
	}
	if err != nil {
		return func(f *Facts) { f.Config, f.ConfigError = ConfigBroken, clean(err.Error()) }, nil
	}
	return func(f *Facts) { f.Config, f.Plan = ConfigGood, p }, nil
}

func (k *look) askCrmMon(ctx context.Context) (answer, error) {
	st, err := pacemaker.Mon(ctx, k.l.o.Host, "status.crm_mon")
	if errors.Is(err, pacemaker.ErrNotRunning) {
		return func(f *Facts) { f.ClusterStopped = true }, err
	}
	if err != nil {
		return nil, err
	}
	return func(f *Facts) { f.Cluster = &st }, nil
}

func (k *look) askCIB(ctx context.Context) (answer, error) {
	res, err := k.l.o.Host.Run(ctx, host.Cmd{Op: "status.cib", Name: "cibadmin", Args: []string{"--query"}})
	if err != nil {
		return nil, err
	}
	c, err := ParseCIB(res.Stdout)
	if err != nil {
		return nil, err
	}
	return func(f *Facts) { f.CIB = c }, nil
}

// askDRBD asks for all resources, so that it need not wait for the name.
func (k *look) askDRBD(ctx context.Context) (answer, error) {
	h := k.l.o.Host
	v, err := admin.New(h).Version(ctx)
	if errors.Is(err, admin.ErrModuleNotLoaded) {
		return func(f *Facts) { f.DRBD = DRBDNoModule }, nil
	}
	if err != nil {
		return nil, err
	}
	res, err := h.Run(ctx, host.Cmd{Op: "status.drbd", Name: "drbdsetup", Args: []string{"events2", "--now", "--statistics"}})
	if err != nil {
		return nil, err
	}
	st, err := events2.ReadDump(bytes.NewReader(res.Stdout))
	if err != nil {
		return nil, err
	}
	var progress map[int]Progress
	if v.Is84() {
		if data, err := h.ReadFile("/proc/drbd"); err == nil {
			progress = parseProgress(string(data))
		}
	}
	return func(f *Facts) {
		f.DRBD, f.Kernel84, f.Progress = DRBDDown, v.Is84(), progress
		for _, r := range st.SortedResources() {
			r.Kernel84 = v.Is84()
			f.resources = append(f.resources, r)
		}
		f.takeResource()
	}, nil
}

// takeResource finds the plan's resource among those that are up.
func (f *Facts) takeResource() {
	for _, r := range f.resources {
		if f.Plan != nil && r.Name == f.Plan.Resource {
			f.DRBD, f.Resource = DRBDUp, r
		}
	}
}

func (k *look) askUnits(p *Plan) answer {
	runs := func(unit string) drbd.Tri {
		if len(k.l.o.Host.UnitProcesses(unit)) > 0 {
			return drbd.Yes
		}
		return drbd.No
	}
	daemon, satellite, controller := runs("drbdnfsd.service"), drbd.Unknown, drbd.Unknown
	if p.LINSTOR {
		satellite = runs("linstor-satellite.service")
		controller = runs("linstor-controller.service")
	}
	return func(f *Facts) {
		f.Daemon, f.Satellite = daemon, satellite
		if p.Controller == f.Self {
			f.Controller = controller
		}
	}
}

func (k *look) askGroup(ctx context.Context, p *Plan) (answer, error) {
	g, err := group.New(group.Options{System: k.l.o.Host, Config: p.group()})
	if err != nil {
		return nil, err
	}
	facts, err := g.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	return func(f *Facts) { f.Group = &facts }, nil
}

// call sends a NULL call through all addresses at once.
func call(ctx context.Context, h Machine, p *Plan) []Reply {
	const programNFS = 100003
	out := make([]Reply, len(p.VIPs))
	// Less than the whole look, so that the answer is known to be missing.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i, v := range p.VIPs {
		all.Go(func() {
			begin := time.Now()
			err := h.RPCNull(ctx, netip.AddrPortFrom(v.Addr(), nfs.Port), programNFS, p.NullVersion)
			out[i] = Reply{Addr: v.Addr(), Took: time.Since(begin)}
			if errors.Is(err, context.DeadlineExceeded) {
				out[i].Error = "no answer within 1 s"
			} else if err != nil {
				out[i].Error = clean(err.Error())
			}
		})
	}
	all.Wait()
	return out
}

// askSockets counts the machines that are connected to the service addresses.
// /proc/fs/nfsd/clients has no clients of NFSv3, and before kernel 5.3 none.
func (k *look) askSockets(ctx context.Context, p *Plan) (answer, error) {
	clients, here := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	list, err := k.l.o.Host.Addresses(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		here[a.Prefix.Addr()] = true
	}
	for _, v := range p.VIPs {
		if !here[v.Addr()] {
			continue
		}
		sockets, err := k.l.o.Host.TCPSockets(ctx, v.Addr())
		if err != nil {
			return nil, err
		}
		for _, s := range sockets {
			if s.Local.Port() == nfs.Port && !here[s.Remote.Addr()] {
				clients[s.Remote.Addr()] = true
			}
		}
	}
	n := len(clients)
	return func(f *Facts) { f.Clients = &n }, nil
}

// maxPairs bounds the pairs of nodes whose evidence is asked for.
const maxPairs = 6

// askEvidence asks what both nodes of each pair say.
func (k *look) askEvidence(ctx context.Context, p *Plan) (answer, error) {
	nodes := slices.Sorted(slices.Values(p.diskful()))
	client := pacemaker.New(k.l.o.Host)
	var out []splitbrain.Evidence
	asked := 0
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			if asked++; asked > maxPairs {
				break
			}
			values, err := client.Query(ctx, splitbrain.Attribute(p.Resource, a, b))
			if err != nil && values == nil {
				return nil, err
			}
			for _, node := range []string{a, b} {
				if e, err := splitbrain.UnmarshalEvidence(string(values[node])); err == nil {
					out = append(out, e)
				}
			}
		}
	}
	return func(f *Facts) { f.Evidence = out }, nil
}

// askRecords reads what this node's daemon has put on disk.
func (k *look) askRecords(p *Plan) (answer, error) {
	h := k.l.o.Host
	marked, err := marker.There(h, p.Resource)
	if err != nil {
		return nil, err
	}
	victim := drbd.No
	if marked {
		victim = drbd.Yes
	}
	dir := k.l.o.StateDir + "/split-brain"
	names, err := h.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var records []splitbrain.Record
	for _, name := range names {
		if resource, _, ok := splitbrain.ParseRecordFile(name); !ok || resource != p.Resource {
			continue
		}
		data, err := h.ReadFile(dir + "/" + name)
		if err != nil {
			return nil, err
		}
		r, err := splitbrain.UnmarshalRecord(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		records = append(records, r)
	}
	return func(f *Facts) { f.Victim, f.Records = victim, records }, nil
}

func (k *look) askSnapshots(ctx context.Context) (answer, error) {
	list, err := snapshot.New(k.l.o.Host).List(ctx, "")
	if errors.Is(err, host.ErrNotInstalled) {
		return nil, nil //nolint:nilnil // no LVM, no snapshots: the answer is what there is already
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Name)
	}
	return func(f *Facts) { f.Snapshots = names }, nil
}
