package switchover

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/nfs"
)

// How often a service address is asked, and how long an answer may take. A
// connection that gets no answer at all would otherwise take seconds to fail.
const (
	probeEvery   = 20 * time.Millisecond
	probeTimeout = 200 * time.Millisecond
)

// programNFS is the program number of NFS, RFC 7530 section 16.
const programNFS = 100003

// Stall is how long a service address did not answer.
type Stall struct {
	Address string `json:"address"`
	// Longest is the time between the last answer before the longest pause and
	// the first one after it, to 20 ms.
	Longest time.Duration `json:"-"`
	Seconds float64       `json:"seconds"` // Longest
	// Measured is false where the address did not answer this node before.
	Measured bool `json:"measured"`
}

// probe asks one address again and again.
type probe struct {
	addr    netip.Addr
	mu      sync.Mutex
	last    time.Time // of the last answer
	asked   time.Time // when the last call that was answered began
	longest time.Duration
	reached bool // it answered before the run
}

// record takes the outcome of one call.
func (p *probe) record(asked, now time.Time, err error) {
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last.IsZero() {
		p.longest = max(p.longest, now.Sub(p.last))
	}
	p.last, p.asked = now, asked
}

// answered reports whether a call that began after t was answered.
func (p *probe) answered(t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked.After(t)
}

func (p *probe) known() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.last.IsZero()
}

// probes are all service addresses.
type probes struct {
	list []*probe
	stop func()
}

// startProbes begins to ask the service addresses, until stop or the end of ctx.
func (s *Switch) startProbes(ctx context.Context) *probes {
	ctx, cancel := context.WithCancel(ctx)
	ps := &probes{}
	var running sync.WaitGroup
	for _, a := range s.addrs {
		p := &probe{addr: a}
		ps.list = append(ps.list, p)
		running.Go(func() { s.ask(ctx, p) })
	}
	ps.stop = func() { cancel(); running.Wait() }
	return ps
}

// ask calls the NULL procedure of the NFS server, over a new connection each
// time: it asks whether a client could mount now.
func (s *Switch) ask(ctx context.Context, p *probe) {
	version := uint32(3)
	for _, v := range s.cfg.NFS.Versions {
		if strings.HasPrefix(v, "4") {
			version = 4
		}
	}
	for {
		asked := time.Now()
		call, cancel := context.WithTimeout(ctx, probeTimeout)
		err := s.machine.RPCNull(call, netip.AddrPortFrom(p.addr, nfs.Port), programNFS, version)
		cancel()
		if ctx.Err() != nil {
			return
		}
		p.record(asked, time.Now(), err)
		if !sleep(ctx, probeEvery-time.Since(asked)) {
			return
		}
	}
}

// warm waits a moment until each address has answered, and remembers which did:
// what is not reached from here cannot be measured from here, or waited for.
func (ps *probes) warm(ctx context.Context) {
	for range 50 {
		if !slices.ContainsFunc(ps.list, func(p *probe) bool { return !p.known() }) || !sleep(ctx, probeEvery) {
			break
		}
	}
	for _, p := range ps.list {
		p.reached = p.known()
	}
}

// silent lists the addresses that have not answered a call since t, but for
// those that never did.
func (ps *probes) silent(t time.Time) []string {
	var out []string
	for _, p := range ps.list {
		if p.reached && !p.answered(t) {
			out = append(out, p.addr.String())
		}
	}
	return out
}

// stalls are the longest pauses so far, with one that still lasts.
func (ps *probes) stalls() []Stall {
	var out []Stall
	for _, p := range ps.list {
		st := Stall{Address: p.addr.String(), Measured: p.reached}
		if p.reached {
			p.mu.Lock()
			st.Longest = max(p.longest, time.Since(p.last))
			p.mu.Unlock()
			st.Seconds = st.Longest.Seconds()
		}
		out = append(out, st)
	}
	return out
}
