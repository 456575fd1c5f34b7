// Package admin runs DRBD's own tools: it builds the argument list, reads the
// result, and names the failures that callers tell apart. It keeps no state,
// decides nothing and repeats nothing.
//
//	a := admin.New(host.New(log))
//	r, err := a.Status(ctx, "res0")
//	if errors.Is(err, admin.ErrUnknownResource) {
//		err = a.Up(ctx, "res0")
//	}
//	err = a.Promote(ctx, r)
//
// drbdsetup loads the kernel module when /proc/drbd is missing, which a probe
// must not do. So every verb but Up looks at /proc/drbd first.
//
// It is used by the OCF agent, by the health daemon and by setup. What it does
// not do: write DRBD's configuration, or decide whether data diverged and whose
// is to go: [Admin.ConnectDiscard] throws data away and asks nobody.
package admin
