package handler

import "log/slog"

// kind is one of the handlers of drbd.conf(5).
type kind struct {
	level   slog.Level // at which a call is logged
	refusal string     // why this program does not serve it; empty for what it records
	exit    int        // exit code of a refusal
}

// notRecorded is the refusal of what happens in normal operation: DRBD's events
// tell it, and its records would push out those that matter.
const notRecorded = "this is normal operation and is not recorded"

// kinds are the handlers that DRBD 8.4 and 9 know. A refusal ends with 0 where
// another code would stop a resynchronisation. For fence-peer the codes 3 to 7
// say what became of the peer; 1 says that nothing did, so that DRBD goes on as
// if the peer could be alive.
var kinds = map[string]kind{
	"split-brain":         {level: slog.LevelError},
	"initial-split-brain": {level: slog.LevelWarn}, // also when DRBD's own policies then resolve it
	"pri-lost":            {level: slog.LevelError},
	"pri-lost-after-sb":   {level: slog.LevelError},
	"pri-on-incon-degr":   {level: slog.LevelError},
	"local-io-error":      {level: slog.LevelError},
	"quorum-lost":         {level: slog.LevelError},
	"out-of-sync":         {level: slog.LevelError},

	"before-resync-target": {refusal: notRecorded},
	"before-resync-source": {refusal: notRecorded},
	"after-resync-target":  {refusal: notRecorded},
	"disconnected":         {refusal: notRecorded},
	"unfence-peer":         {refusal: "this program does not fence"},
	"fence-peer":           {refusal: "this program does not fence: use crm-fence-peer.9.sh, or crm-fence-peer.sh with DRBD 8.4", exit: 1},
}
