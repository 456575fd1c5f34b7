package resources

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// machine is what the stage needs of the node.
type machine interface {
	vip.Network
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	MkdirAll(op, path string, perm fs.FileMode) error
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	RemoveAll(op, path string) error
}

var (
	_ machine     = (*host.Host)(nil)
	_ setup.Stage = (*Stage)(nil)
)

// probeTime is how long the network is asked whether somebody has an address.
// Nobody waits for setup as clients do for a promotion.
const probeTime = time.Second

// Options are what the stage works with.
type Options struct {
	Machine machine
	Config  *config.Config
	Self    string       // this node's name
	Log     *slog.Logger // nil discards
	// Replace has the group take the place of hand-made resources that do its
	// work; without it they are refused.
	Replace bool
	// Stopped is called when the hand-made resources have stopped, before the
	// group comes; nil is nothing.
	Stopped func() error
}

// Stage is the cib stage. Use New.
type Stage struct {
	machine machine
	c       *config.Config
	self    string
	log     *slog.Logger
	dir     string // of temporary files
	replace bool
	stopped func() error
	// replaced are the hand-made primitives that may be disturbed.
	replaced []string
}

// New returns the stage. It does nothing yet.
func New(o Options) *Stage {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Stage{machine: o.Machine, c: o.Config, self: o.Self, log: o.Log, dir: "/run/drbdnfs/setup-cib", replace: o.Replace, stopped: o.Stopped}
}

// Name is setup.CIB.
func (s *Stage) Name() string { return setup.CIB }

// edit is cib.Merge or cib.Remove.
type edit func(current *etree.Document, c *config.Config) (*etree.Document, []cib.Change, error)

// view is what the cluster says.
type view struct {
	doc    *etree.Document
	status pacemaker.Status
	node   string // the one that applies
}

// view asks the cluster. running is false when there is none to ask.
func (s *Stage) view(ctx context.Context) (v view, running bool, err error) {
	doc, err := s.query(ctx)
	if notRunning(err) {
		return view{}, false, nil
	}
	if err != nil {
		return view{}, false, err
	}
	st, err := s.status(ctx)
	if notRunning(err) {
		return view{}, false, nil
	}
	if err != nil {
		return view{}, false, err
	}
	node := s.c.First().Name
	if active := st.Promoted(s.group()); len(active) == 1 {
		node = active[0]
	}
	return view{doc, st, node}, true, nil
}

// group is the id of the primitive.
func (s *Stage) group() string { return s.c.Pacemaker.Group }

// Look compares the CIB with the configuration. Without a running cluster it
// returns one Later item.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	v, running, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	if !running {
		return append([]setup.Item{{
			Object: "group " + s.group() + " in the CIB", Action: setup.Later, Detail: "Pacemaker does not run here yet",
			Why: "the stage cluster starts it; systemctl status pacemaker", Key: "pacemaker.group",
		}}, s.risks()...), nil
	}
	if items, err := s.handmade(ctx, v); err != nil || len(items) > 0 {
		return append(items, s.risks()...), err
	}
	after, changes, err := cib.Merge(v.doc, s.c)
	if err != nil {
		return []setup.Item{{Object: "CIB", Action: setup.Refuse, Detail: err.Error(), Key: "pacemaker.group"}}, nil
	}
	if added := cib.AddedExports(v.doc, s.c); len(added) > 0 && v.node != s.self && len(v.status.Promoted(s.group())) > 0 {
		return []setup.Item{s.elsewhere(v.node, added)}, nil
	}
	if v.node != s.self {
		return append(s.others(v.node, changes), s.risks()...), nil
	}
	items := s.items(changes, s.do(cib.Merge, nil))
	if effective(changes) {
		refused, err := s.refusals(ctx, v.doc, after)
		if err != nil || len(refused) > 0 {
			return refused, err
		}
		if taken := s.taken(ctx, cib.AddedVIPs(v.doc, s.c)); len(taken) > 0 {
			return taken, ctx.Err()
		}
	}
	items = append(items, s.served(v.status, effective(changes)))
	return append(items, s.risks()...), nil
}

// taken refuses service addresses, of those with the indices added, that this
// node could not take: another machine answers for it, or there is no place for
// it here. The agent would find out as well, when it is too late: in a reload or
// a promotion.
func (s *Stage) taken(ctx context.Context, added []int) []setup.Item {
	if n, ok := s.c.Node(s.self); !ok || n.Diskless {
		return nil
	}
	var items []setup.Item
	for _, i := range added {
		if err := s.free(ctx, s.c.VIPs[i]); err != nil {
			items = append(items, setup.Item{
				Object: "service address " + s.c.VIPs[i].Address, Action: setup.Refuse, Key: fmt.Sprintf("vip[%d].address", i),
				Detail: err.Error(), Why: "take an address that no machine has, or take it away from that machine",
			})
		}
	}
	return items
}

// free reports why a service address cannot be taken, nil when it can.
func (s *Stage) free(ctx context.Context, v config.VIP) error {
	text := v.Address
	if v.Interface != "" {
		text += "@" + v.Interface
	}
	vips, err := vip.Parse(text)
	if err != nil {
		return err
	}
	m, err := vip.New(vip.Options{Host: s.machine, VIPs: vips, Log: s.log, ProbeTime: probeTime})
	if err != nil {
		return err
	}
	return m.Check(ctx)
}

// elsewhere refuses to name a directory in the CIB that only the active node
// can make.
func (s *Stage) elsewhere(node string, added []string) setup.Item {
	return setup.Item{
		Object: "exports of the group " + s.group(), Action: setup.Refuse, Key: "export",
		Detail: "run it on " + node + ", which is active: " + strings.Join(added, ", ") + " must be on the volume first, which is mounted there",
		Why:    "on " + node + ": drbdnfs setup apply",
	}
}

// others are the items of a node that does not apply.
func (s *Stage) others(node string, changes []cib.Change) []setup.Item {
	detail := "as configured"
	if effective(changes) {
		detail = node + " does it"
	}
	items := []setup.Item{{Object: "group " + s.group() + " in the CIB", Action: setup.Other, Detail: detail, Key: "pacemaker.group"}}
	for _, ch := range changes {
		if ch.Kind == cib.Drift {
			items = append(items, item(ch, nil))
		}
	}
	return items
}

// items has one for each change, all with the same Do.
func (s *Stage) items(changes []cib.Change, do func(context.Context, setup.Progress) error) []setup.Item {
	var items []setup.Item
	if !effective(changes) {
		items = append(items, setup.Item{
			Object: "group " + s.group() + " in the CIB", Action: setup.Keep, Detail: "as configured", Key: "pacemaker.group",
		})
	}
	for _, ch := range changes {
		items = append(items, item(ch, do))
	}
	return items
}

func item(ch cib.Change, do func(context.Context, setup.Progress) error) setup.Item {
	it := setup.Item{Object: ch.Object, Detail: ch.Detail, Key: ch.Key, Interrupts: ch.Interrupts, Do: do}
	switch ch.Kind {
	case cib.Make:
		it.Action = setup.Make
	case cib.Drop:
		it.Action = setup.Drop
	case cib.Drift:
		it.Action, it.Do, it.Why = setup.Keep, nil, "somebody chose this; it stays"
	default:
		it.Action = setup.Change
	}
	return it
}

// effective reports whether anything is to be written.
func effective(changes []cib.Change) bool {
	for _, ch := range changes {
		if ch.Kind != cib.Drift {
			return true
		}
	}
	return false
}

// served is the item that waits for the group.
func (s *Stage) served(st pacemaker.Status, changing bool) setup.Item {
	it := setup.Item{Object: "group " + s.group(), Key: "pacemaker.group"}
	switch off := st.Off(s.group()); {
	case off != "":
		it.Action, it.Detail, it.Why = setup.Warn, off, s.switchOn()
	case !changing && len(st.Promoted(s.group())) == 1:
		it.Action, it.Detail = setup.Keep, "Promoted on "+st.Promoted(s.group())[0]
	default:
		it.Action, it.Detail, it.Do = setup.Await, "until it is Promoted on one node", s.await
	}
	return it
}

// switchOn are the commands after which Pacemaker takes care of the group again.
func (s *Stage) switchOn() string {
	return fmt.Sprintf("pcs resource enable %s, pcs resource manage %s, or pcs property set maintenance-mode=false", s.group(), s.group())
}

// risks says what the fencing mode leaves open.
func (s *Stage) risks() []setup.Item {
	risk := setup.Item{Object: "fencing", Action: setup.Warn, Key: "fencing.mode"}
	switch s.c.Fencing.Mode {
	case config.FencingNone:
		risk.Detail = "a cut link can split the data: both nodes would serve, and one of them loses what it wrote"
		risk.Why = "set fencing.mode to stonith, or to drbd-quorum with a third node"
	case config.FencingQuorum:
		if len(s.c.Nodes) > 2 {
			return nil
		}
		risk.Detail = "with two nodes DRBD has no quorum once one is gone: the other does not serve"
		risk.Why = "add a diskless node as a tie-breaker"
	default:
		return nil
	}
	return []setup.Item{risk}
}

// LookRemove returns what of the CIB is the group's, to be taken out.
func (s *Stage) LookRemove(ctx context.Context) ([]setup.Item, error) {
	object := "group " + s.group() + " in the CIB"
	v, running, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	if !running {
		return []setup.Item{{
			Object: object, Action: setup.Keep, Detail: "Pacemaker does not run here, so that the CIB cannot be seen",
			Why: "start it and run this again where the group has to leave the CIB: systemctl start pacemaker",
		}}, nil
	}
	after, changes, err := cib.Remove(v.doc, s.c)
	switch {
	case err != nil:
		return []setup.Item{{Object: "CIB", Action: setup.Refuse, Detail: err.Error()}}, nil
	case v.node != s.self && len(changes) > 0:
		return []setup.Item{{
			Object: object, Action: setup.Refuse, Detail: "is there, and " + v.node + " is the node that removes it",
			Why: "run drbdnfs setup remove on " + v.node + " first",
		}}, nil
	case len(changes) == 0:
		return []setup.Item{{Object: object, Action: setup.Keep, Detail: "not there"}}, nil
	}
	if refused, err := s.refusals(ctx, v.doc, after); err != nil || len(refused) > 0 {
		return refused, err
	}
	return s.items(changes, s.do(cib.Remove, s.awaitStopped)), nil
}
