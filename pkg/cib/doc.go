// Package cib knows how the group looks in Pacemaker's configuration, the CIB,
// and edits a CIB so that it looks like that.
//
//	after, changes, err := cib.Merge(before, c) // before is left alone
//	for _, ch := range changes {
//		fmt.Println(ch.Kind, ch.Object, ch.Detail, ch.Interrupts)
//	}
//
// [Merge] touches nothing but the group: its clone, the constraints, fence
// devices and levels that it made itself, one alert, and the few properties
// that the fencing decision needs. They are recognised by their ids, the group's
// name and "drbdnfs-" before them, and inside of the clone by the names that
// Pacemaker goes by, so that a clone made with pcs is edited and not replaced.
// All else survives: other resources, constraints of pcs and of DRBD's handlers,
// options that somebody added to the group, longer timeouts.
//
// The old words (master, Master, Slave, master-max) and the present ones mean
// the same: a difference of spelling is no change. What is written anew has the
// words of the CIB's own schema.
//
// The package runs nothing: pkg/setup/resources asks the cluster for its CIB and
// gives it the difference.
package cib
