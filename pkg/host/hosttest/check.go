package hosttest

import (
	"fmt"
	"slices"
)

// The rules that hold on this machine after every single call, however an
// action ends. A rule that was broken before a call is not that call's fault.
const (
	ruleState   = "/var/lib/nfs leads to a directory"
	ruleAddress = "a service address is served or its ports are blocked"
)

// broken lists the rules that do not hold.
func (h *Host) broken() []string {
	var out []string
	if l, err := h.find("/var/lib/nfs", true); err != nil || !l.node.mode.IsDir() {
		out = append(out, ruleState)
	}
	if len(h.serviceAddrs()) > 0 && h.Blocked == nil && !h.serves() {
		out = append(out, ruleAddress)
	}
	return out
}

// serves reports whether a client that reaches the server gets at the data.
func (h *Host) serves() bool {
	return h.NFSD.Threads > 0 && h.volumeMount() != nil && h.runs("rpc.mountd") && h.exported()
}

// serviceAddrs are the addresses that are not the machine's own.
func (h *Host) serviceAddrs() []string {
	var out []string
	for _, a := range h.Addrs {
		if !slices.Contains(h.local, a.Prefix) {
			out = append(out, a.Prefix.Addr().String())
		}
	}
	return out
}

// compare reports rules that hold no longer because of a call. What a test does
// between actions is no call.
func (h *Host) compare(op string) {
	broken := h.broken()
	for _, rule := range broken {
		if !slices.Contains(h.known, rule) && h.cancel != nil {
			h.violate("%s has broken: %s", op, rule)
		}
	}
	h.known = broken
}

func (h *Host) violate(format string, args ...any) {
	h.violations = append(h.violations, fmt.Sprintf(format, args...))
}

// Violations lists what calls have done that must never happen, and forgets
// it.
func (h *Host) Violations() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.violations
	h.violations = nil
	return v
}

// Serves reports whether clients are served: everything that a promotion
// brings is there, and reachable.
func (h *Host) Serves() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serves() && h.Blocked == nil && len(h.serviceAddrs()) > 0 && h.DRBD.Role == "Primary"
}

// Leftovers lists what of a promotion is on the machine. After a demotion there
// is none. Background units, which end by themselves, do not count.
func (h *Host) Leftovers() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	add := func(there bool, what string) {
		if there {
			out = append(out, what)
		}
	}
	add(h.Blocked != nil, "port block")
	add(h.DRBD.Role == "Primary", "DRBD Primary")
	for _, m := range h.mounts {
		add(h.isVolume(m), "mount on "+m.Dir)
	}
	l, err := h.find("/var/lib/nfs", true)
	add(err == nil && l.mount != nil && h.isVolume(l.mount), "NFS state on the volume")
	add(err != nil, "NFS state nowhere")
	add(h.units["drbdnfs-daemons.service"] != nil, "NFS daemons")
	add(h.NFSD.Threads > 0, "nfsd threads")
	add(len(h.NFSD.ports) > 0, "nfsd sockets")
	add(h.NFSD.holds, "export caches")
	for _, a := range h.serviceAddrs() {
		add(true, "address "+a)
	}
	for _, s := range append(h.Sockets, h.orphaned...) {
		add(true, "connection of "+s.Remote.String())
	}
	slices.Sort(out)
	return out
}
