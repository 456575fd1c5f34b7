package switchover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// Machine is what this package needs of [*host.Host].
type Machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
	MkdirAll(op, path string, perm fs.FileMode) error
	Lock(ctx context.Context, path string) (unlock func(), err error)
	RPCNull(ctx context.Context, addr netip.AddrPort, program, vers uint32) error
}

var _ Machine = (*host.Host)(nil)

// Options are what a Switch is made of.
type Options struct {
	Machine Machine
	Config  *config.Config
	Self    string      // this node's name
	Show    func(Event) // is told each step as it happens, from one goroutine at a time
	// Dir is where the lock is kept; "" is /run/drbdnfs.
	Dir string
	Log *slog.Logger // nil discards
}

// Switch plans and does what the package does, on one node. One Plan and one Run
// at a time; [Switch.Close] ends its use.
type Switch struct {
	machine Machine
	cfg     *config.Config
	self    string
	group   string
	clone   string
	role    string
	addrs   []netip.Addr
	show    func(Event)
	dir     string
	log     *slog.Logger
	unlock  func()
}

// New returns a Switch. It looks at nothing yet.
func New(o Options) *Switch {
	s := &Switch{
		machine: o.Machine, cfg: o.Config, self: o.Self, group: o.Config.Pacemaker.Group,
		show: o.Show, dir: o.Dir, log: o.Log, role: "Promoted",
	}
	if s.dir == "" {
		s.dir = "/run/drbdnfs"
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, v := range o.Config.VIPs {
		if p, err := netip.ParsePrefix(v.Address); err == nil {
			s.addrs = append(s.addrs, p.Addr())
		}
	}
	return s
}

// lockWait is how long another run on this node may take to end by itself.
const lockWait = time.Second

// lock takes the lock of this node. It is held until [Switch.Close], or the end
// of the process.
func (s *Switch) lock(ctx context.Context) (bool, error) {
	if s.unlock != nil {
		return true, nil
	}
	if err := s.machine.MkdirAll("switchover.mkdir", s.dir, 0o755); err != nil {
		return false, err
	}
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	unlock, err := s.machine.Lock(wait, s.dir+"/switchover.lock")
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return false, nil
	}
	s.unlock = unlock
	return err == nil, err
}

// Close gives the lock back. It is idempotent.
func (s *Switch) Close() {
	if s.unlock != nil {
		s.unlock()
		s.unlock = nil
	}
}

// query returns the CIB.
func (s *Switch) query(ctx context.Context) (*etree.Document, error) {
	out, err := s.run(ctx, cibTimeout, host.Cmd{Op: "switchover.query", Name: "cibadmin", Args: []string{"--query"}})
	if err != nil {
		return nil, fmt.Errorf("read Pacemaker's configuration: %w", err)
	}
	doc, err := cib.Parse(out)
	if err != nil {
		return nil, fmt.Errorf("cibadmin --query: %w", err)
	}
	return doc, nil
}

// drbdTimeout bounds the look at DRBD.
const drbdTimeout = 10 * time.Second

// look gathers the facts. What Pacemaker does not answer is an error; what DRBD
// and the daemons do not answer is a fact.
func (s *Switch) look(ctx context.Context) (Facts, *etree.Document, error) {
	st, err := pacemaker.Mon(ctx, s.machine, "switchover.crm_mon")
	if err != nil {
		return Facts{}, nil, err
	}
	doc, err := s.query(ctx)
	if err != nil {
		return Facts{}, nil, err
	}
	s.role, s.clone = roleWord(doc), s.cloneOf(doc)
	f := Facts{
		Self: s.self, Group: s.group, Resource: s.cfg.Resource.Name, Preferred: s.cfg.Pacemaker.Preferred, Cluster: st,
		History: history(doc, s.group), FailCounts: failCounts(doc, s.group), Hold: findHold(doc, s.group), Now: time.Now(),
	}
	for _, n := range s.cfg.Nodes {
		if n.Diskless {
			f.Diskless = append(f.Diskless, n.Name)
		} else {
			f.Nodes = append(f.Nodes, n.Name)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, drbdTimeout)
	defer cancel()
	if f.DRBD, err = admin.New(s.machine).Status(bounded, f.Resource); err != nil {
		f.DRBD, f.Blind = nil, err.Error()
	}
	f.SplitBrains = s.splitBrains(bounded, f.Nodes)
	return f, doc, ctx.Err()
}

// cloneOf is the clone of the group in a CIB; it may have been made by hand.
func (s *Switch) cloneOf(doc *etree.Document) string {
	for _, p := range doc.FindElements("./cib/configuration/resources//primitive") {
		if p.SelectAttrValue("id", "") == s.group && p.Parent().SelectAttrValue("id", "") != "" {
			return p.Parent().SelectAttrValue("id", "")
		}
	}
	return s.group + "-clone"
}

// splitBrains asks what the daemons have published of each pair of nodes.
func (s *Switch) splitBrains(ctx context.Context, nodes []string) []SplitBrain {
	client := pacemaker.New(s.machine)
	var out []SplitBrain
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			pair := []string{a, b}
			slices.Sort(pair)
			// As package daemon names it.
			values, err := client.Query(ctx, "drbdnfs-evidence-"+s.cfg.Resource.Name+"-"+strings.Join(pair, "-"))
			if err != nil {
				s.log.Debug("evidence of the daemons", "err", err)
			}
			for _, v := range values {
				e, err := splitbrain.UnmarshalEvidence(string(v))
				if err == nil && e.Phase != "" && e.Phase != splitbrain.PhaseNone {
					out = append(out, SplitBrain{Nodes: [2]string{a, b}, Phase: string(e.Phase)})
					break
				}
			}
		}
	}
	return out
}
