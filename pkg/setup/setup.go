package setup

import (
	"context"
	"time"
)

// Names of the stages, in the order in which they run. A configuration has
// either LINSTOR or DRBDADM.
const (
	Host       = "host"
	LINSTOR    = "linstor"
	DRBDADM    = "drbdadm"
	Filesystem = "filesystem"
	Cluster    = "cluster"
	CIB        = "cib"
	Sync       = "sync"
)

// Action says what is to happen to an object.
type Action string

// Actions.
const (
	Keep   Action = "keep"   // as the configuration has it
	Make   Action = "make"   // it is missing
	Change Action = "change" // it is there and differs
	Drop   Action = "drop"   // remove only: setup made it
	Await  Action = "await"  // comes to be by itself or by another node; Do waits for it
	Later  Action = "later"  // cannot be seen before an earlier item is done
	Other  Action = "other"  // another node does it; Do is nil
	Warn   Action = "warn"   // nothing to do, something to know: a risk, a recommendation
	Refuse Action = "refuse" // a person has to decide; nothing at all is applied
)

// Item is one object of a stage and what setup makes of it.
type Item struct {
	Object string // "volume group drbdpool", "/etc/nfs.conf"
	Action Action
	// Detail says what is there and what will be: "made from /dev/vda3", "6 TiB,
	// XFS". For Refuse it is the problem.
	Detail string
	// Why is the reason for the change; for Refuse and Warn what to do about it.
	Why string
	// Key is the configuration key that asks for it, as in config.Config.At:
	// "resource.size", "node[1].device"; "" for none.
	Key string
	// Interrupts says what clients notice, "" for nothing.
	Interrupts string
	// Do brings it about and returns when it is so, or when ctx ends. It is
	// idempotent. It is nil for Keep, Later, Other, Warn and Refuse.
	Do func(ctx context.Context, p Progress) error
}

// Progress shows what takes time. Its methods return at once.
type Progress interface {
	// Waiting says what is being waited for: "drbdtest2: run drbdnfs setup apply
	// there".
	Waiting(what string)
	// Fraction says how much of done is reached, from 0 to 1, and what rate and
	// time left are, where they are known: "210 MiB/s, 3m20s left".
	Fraction(done float64, text string)
}

// Stage is one part of setup on this node.
type Stage interface {
	// Name is one of the names above.
	Name() string
	// Look compares what is there with the configuration. It changes nothing,
	// takes at most a few seconds, and returns an error only where it could not
	// look; what is wrong with what it saw is an item.
	Look(ctx context.Context) ([]Item, error)
	// LookRemove returns what has to be done to take back what the stage has made,
	// in order. Data is never removed: what holds it is a Keep with the commands
	// that a person would run in Why.
	LookRemove(ctx context.Context) ([]Item, error)
}

// PollInterval is how often Await items look.
const PollInterval = 500 * time.Millisecond
