package daemon

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// what names the keys whose changes are worth a line, by object. DRBD's other
// keys follow from these or only count.
var what = map[drbd.Object]map[string]string{
	drbd.ObjectResource: {
		"role":              "role changed",
		"suspended":         "suspension of I/O changed",
		"force-io-failures": "forced I/O failures changed",
	},
	drbd.ObjectDevice: {
		"disk":   "disk changed",
		"quorum": "quorum changed",
	},
	drbd.ObjectConnection: {
		"connection": "connection changed",
		"role":       "peer role changed",
	},
	drbd.ObjectPeerDevice: {
		"peer-disk":   "peer disk changed",
		"replication": "replication changed",
	},
}

// changed logs one change, or nothing for one that tells a person nothing.
func (w *owner) changed(c drbd.Change) {
	level, msg := weigh(c)
	if msg == "" {
		return
	}
	attrs := where(c.ID)
	switch c.Kind {
	case drbd.Set:
		attrs = append(attrs, "old", c.Old, "new", c.New)
	case drbd.Renamed:
		attrs = append(attrs, "old", c.Old)
	case drbd.Called:
		attrs = append(attrs, "helper", c.New)
	case drbd.Responded:
		attrs = append(attrs, "helper", c.New, "code", c.Code)
	}
	//lint:ignore sloglint the message is one of the constants of weigh
	w.o.Log.Log(context.Background(), level, msg, attrs...)
}

// where is id as log attributes, without what does not apply.
func where(id drbd.ID) []any {
	attrs := []any{"resource", id.Resource}
	switch {
	case id.ConnName != "":
		attrs = append(attrs, "peer", id.ConnName)
	case id.PeerNodeID != drbd.Absent:
		attrs = append(attrs, "peer", strconv.Itoa(id.PeerNodeID))
	}
	if id.Volume != drbd.Absent {
		attrs = append(attrs, "volume", id.Volume)
	}
	return attrs
}

// weigh returns what to say of a change and how loud: Info is a state that
// changed, Warn something that somebody may have to look at, Error something
// that does not get well by itself. No message means: not worth a line.
func weigh(c drbd.Change) (slog.Level, string) {
	switch c.Kind {
	case drbd.Set:
		return weighSet(c), what[c.Object][c.Key]
	case drbd.Called:
		return weighHelper(c.New), "DRBD calls a helper"
	case drbd.Responded:
		if c.Code != 0 {
			return slog.LevelWarn, "helper of DRBD failed"
		}
	case drbd.Renamed:
		return slog.LevelInfo, "resource renamed"
	case drbd.Created:
		if c.Object == drbd.ObjectResource {
			return slog.LevelInfo, "resource came up"
		}
	case drbd.Destroyed:
		switch c.Object {
		case drbd.ObjectResource:
			return slog.LevelInfo, "resource went down"
		case drbd.ObjectConnection:
			return slog.LevelInfo, "connection removed"
		case drbd.ObjectDevice:
			return slog.LevelInfo, "volume removed"
		}
	}
	return slog.LevelInfo, ""
}

func weighSet(c drbd.Change) slog.Level {
	bad := false
	switch c.Key {
	case "suspended":
		bad = !drbd.Suspended(c.New).None()
	case "force-io-failures":
		bad = c.New == "yes"
	case "quorum":
		bad = c.New == "no"
	case "disk":
		s := drbd.DiskState(c.New)
		bad = s == drbd.DiskFailed || s == drbd.DiskDiskless
	case "connection":
		switch drbd.ConnectionState(c.New) {
		case drbd.ConnStandAlone, drbd.ConnTimeout, drbd.ConnBrokenPipe, drbd.ConnNetworkFailure, drbd.ConnProtocolError:
			bad = true
		}
	}
	if bad {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// weighHelper knows the kernel's helpers (LINBIT/drbd, drbd_khelper).
func weighHelper(name string) slog.Level {
	switch name {
	case "split-brain", "local-io-error", "pri-lost-after-sb", "pri-on-incon-degr":
		return slog.LevelError
	case "initial-split-brain", "pri-lost", "quorum-lost", "fence-peer", "out-of-sync":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// logDump logs what a dump has found.
func (w *owner) logDump() {
	w.o.Log.Info("following DRBD", "resources", len(w.state.Resources), "kernel", w.kernel.String())
	for _, r := range w.state.SortedResources() {
		level, attrs := slog.LevelInfo, []any{"resource", r.Name, "role", string(r.Role)}
		if why := drbd.Health(r); len(why) > 0 {
			level = slog.LevelWarn
			attrs = append(attrs, "degraded", strings.Join(why, ", "))
		}
		w.o.Log.Log(context.Background(), level, "resource found", attrs...)
	}
}
