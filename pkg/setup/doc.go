// Package setup turns bare servers into a running group: it compares what a
// node has with the configuration file, says what it would do, and does it.
//
// The work is split into stages, each in a package below this one. A stage looks
// and returns items; what has to be done is a function in the item. Nothing is
// recorded beside the objects themselves: a run that was cut off is continued by
// looking again, and a second run finds nothing to do.
//
//	plan, err := setup.Look(ctx, stages)       // nothing is changed
//	if plan.Refused() == nil { err = setup.Apply(ctx, setup.ApplyOptions{Stages: stages, ...}) }
//
// Every node runs its own setup with the same file. What one node has to do for
// all, the first node of the file does; it waits for the others where it must.
// Data is never removed, shrunk or overwritten: an object that is in the way is
// refused, with what was found.
package setup
