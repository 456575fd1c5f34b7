package drbd

import "strconv"

// This file holds every difference between an 8.4 and a 9 kernel that the
// state model knows. Facts from drbd-utils user/v84/drbdsetup.c
// (print_notifications) and user/v9/drbdsetup_events2.c, version 9.22.0.

// Name84 is what the tools print as the connection's name on an 8.4 kernel.
const Name84 = "peer"

// missingName is the name of a connection of r whose line has none: an 8.4
// kernel leaves it out where the connection has no addresses, as one that is
// StandAlone when a dump begins.
func missingName(r *Resource) string {
	if r.Kernel84 {
		return Name84
	}
	return ""
}

// Is84 reports whether the kernel module is DRBD 8.4. It has no peer node ids,
// no quorum, no promotion score, and its drbdsetup takes a minor where that of
// DRBD 9 takes a resource.
func (v Version) Is84() bool { return v.Major == 8 }

// is84Resource reports whether e, which introduces a resource, was printed for
// an 8.4 kernel: only DRBD 9 has a promotion score.
func is84Resource(e Event) bool {
	_, ok := e.Get("promotion_score")
	return !ok
}

// keepsConnection reports whether "destroy connection" leaves the connection in
// the model, as StandAlone.
// An 8.4 kernel destroys the connection once it is StandAlone, although the
// peer is still configured: "missing" there means StandAlone. When the
// resource goes down its own destroy line follows and takes the rest along.
func keepsConnection(r *Resource) bool { return r.Kernel84 }

// RoleTargets returns the arguments to run "drbdsetup primary" or "drbdsetup
// secondary" with, one run each: the resource on DRBD 9, every volume's minor
// on 8.4, in the order of the volumes.
func (r *Resource) RoleTargets() []string {
	if !r.Kernel84 {
		return []string{r.Name}
	}
	targets := make([]string, 0, len(r.Devices))
	for _, d := range r.SortedDevices() {
		targets = append(targets, strconv.Itoa(d.Minor))
	}
	return targets
}

// Live reports whether p exchanges data, as opposed to being connected only as
// far as the socket. An 8.4 kernel prints connection:Connected from the moment
// the handshake starts, so a split brain shows Connected for a moment; the
// replication state is Off until the verdict, on both kernels.
func (p *PeerDevice) Live() bool {
	return p.Replication != "" && p.Replication != ReplOff
}

// Progress returns how far the resync of p has come, in percent. DRBD 9 prints
// the part of this resync that is done. DRBD 8.4 prints nothing, so it is the
// part of the volume that is in sync, which starts higher and, without
// --statistics, is not known: 0.
func (r *Resource) Progress(p *PeerDevice) float64 {
	if !r.Kernel84 {
		return p.DonePercent
	}
	d := r.Devices[p.Volume]
	if d == nil || d.SizeBytes <= 0 || p.OutOfSyncBytes > d.SizeBytes {
		return 0
	}
	return 100 * float64(d.SizeBytes-p.OutOfSyncBytes) / float64(d.SizeBytes)
}
