package daemon

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/vip"
)

const (
	// localEvery is how often this node's part is looked at during a split brain.
	localEvery = 5 * time.Second
	// groupEvery is how often the group is looked at for the metrics.
	groupEvery = 15 * time.Second
	// lookTime bounds either.
	lookTime = 20 * time.Second
)

// localFacts says when this node's part in split brains is looked at.
type localFacts struct {
	due  time.Time
	busy bool
}

// lookLocal looks whether the group runs here, while there is a split brain.
func (w *owner) lookLocal(now time.Time) {
	if w.local.busy || now.Before(w.local.due) {
		return
	}
	w.local.due = now.Add(localEvery)
	for _, t := range w.sorted() {
		r := w.state.Resources[t.resource]
		if t.phase == splitbrain.PhaseNone || r == nil || t.waits(now) && now.Sub(t.lookedAt) < querySeldom {
			continue
		}
		t.lookedAt = now
		w.local.busy = true
		p := performer{owner: w, talkKey: t.talkKey, group: w.settings.groupOf(t.resource)}
		r = r.Clone()
		w.workers.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), lookTime)
			defer cancel()
			l, err := p.lookLocal(ctx, r)
			select {
			case w.inbox <- func(w *owner) {
				w.local.busy = false
				if err != nil {
					w.o.Log.Warn("this node's part in a split brain is not known", "resource", t.resource, "err", err)
				}
				w.handle(t, l)
			}:
			case <-w.ended:
			}
		})
	}
}

// groupFacts is what the metrics tell of the NFS group.
type groupFacts struct {
	config *group.Config // nil: there is none
	due    time.Time
	busy   bool
	group  *metrics.Group
	nfsd   *metrics.NFSD
}

// groupConfig is the group of the configuration file as the agent sees it.
func groupConfig(c *config.Config) *group.Config {
	exports, err := nfs.ParseExports(c.ExportsText(), c.Resource.Name)
	if err != nil {
		return nil // package config has accepted it, so this does not happen
	}
	vips, err := vip.Parse(c.VIPsText())
	if err != nil {
		return nil
	}
	return &group.Config{
		Instance: c.Pacemaker.Group, Resource: c.Resource.Name, Dir: c.Filesystem.Mount, FSType: c.Filesystem.Type,
		StateDir: c.StateDir(), Exports: exports, VIPs: vips, DRBDDown: group.DownAuto,
		Server: nfs.ServerConfig{Threads: c.NFS.Threads, Lease: c.NFS.LeaseTime.D(), Grace: c.NFS.GraceTime.D(), Scope: c.NFS.Scope},
	}
}

// lookGroup looks at the group for the metrics.
func (w *owner) lookGroup(now time.Time) {
	if w.group.config == nil || w.group.busy || now.Before(w.group.due) {
		return
	}
	w.group.due, w.group.busy = now.Add(groupEvery), true
	cfg := *w.group.config
	w.workers.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lookTime)
		defer cancel()
		g := inspectGroup(ctx, w.o.Host, cfg)
		n := inspectNFSD(w.o.Host)
		select {
		case w.inbox <- func(w *owner) {
			w.group.busy, w.group.group, w.group.nfsd, w.dirty = false, g, n, true
		}:
		case <-w.ended:
		}
	})
}

// inspectGroup looks at each step of the group. It changes nothing.
func inspectGroup(ctx context.Context, h Machine, cfg group.Config) *metrics.Group {
	out := &metrics.Group{Name: cfg.Instance, Exports: -1}
	g, err := group.New(group.Options{System: h, Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return out
	}
	f, err := g.Inspect(ctx)
	if err != nil || f.DRBD == nil || f.DRBD.Role != drbd.RolePrimary {
		return out
	}
	out.Active = f.Mount == mount.Mounted || f.ThreadsOurs
	paths := map[string]bool{}
	for _, e := range cfg.Exports {
		paths[e.Path] = true
	}
	for _, e := range f.ExportsMissing {
		delete(paths, e.Path)
	}
	if f.ExportsUnknown == "" {
		out.Exports = len(paths)
	}
	out.Steps = steps(f)
	return out
}

// steps tells of each part whether it is as it has to be on the active node.
func steps(f group.Facts) map[string]bool {
	served := true
	for _, d := range f.DRBD.Devices {
		served = served && (d.Disk == drbd.DiskUpToDate || f.DRBD.GoodPeer(d.Volume) != "")
	}
	placed := !slices.ContainsFunc(f.Addresses, func(a vip.State) bool { return !a.InPlace })
	return map[string]bool{
		"drbd":       served && f.DRBD.Suspended.None() && f.DRBD.ForceIOFailures != drbd.Yes,
		"filesystem": f.Mount == mount.Mounted && f.Place == nfs.PlaceVolume,
		"nfsd":       f.Threads > 0 && f.ThreadsOurs && len(f.DaemonsMissing) == 0,
		"export":     len(f.ExportsMissing) == 0 && f.ExportsUnknown == "",
		"vip":        placed && !f.Blocked,
	}
}

// Files of the kernel's NFS server.
const (
	nfsdThreads = "/proc/fs/nfsd/threads"
	nfsdGrace   = "/proc/fs/nfsd/v4_end_grace"
	nfsdClients = "/proc/fs/nfsd/clients"
)

// inspectNFSD reads the state of the kernel's NFS server; nil where it is not
// loaded.
func inspectNFSD(h Machine) *metrics.NFSD {
	data, err := h.ReadFile(nfsdThreads)
	if err != nil {
		return nil
	}
	n := &metrics.NFSD{Threads: -1, Clients: -1, InGrace: drbd.Unknown}
	if count, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
		n.Threads = count
	}
	if n.Threads == 0 {
		n.InGrace, n.Clients = drbd.No, 0
		return n
	}
	if ended, err := h.ReadFile(nfsdGrace); err == nil {
		// "Y" once the grace period is over (fs/nfsd/nfsctl.c, write_v4_end_grace).
		n.InGrace = drbd.Yes
		if strings.TrimSpace(string(ended)) == "Y" {
			n.InGrace = drbd.No
		}
	}
	if clients, err := h.ReadDir(nfsdClients); err == nil {
		n.Clients = len(clients)
	}
	return n
}

// usermodeHelper tells whether the kernel calls DRBD's handlers.
func usermodeHelper(h Machine) drbd.Tri { return admin.New(h).UsermodeHelper() }
