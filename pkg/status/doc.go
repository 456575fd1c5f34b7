// Package status looks at the whole cluster from one node and says in five
// seconds of reading what is wrong and what to type.
//
//	l, err := status.New(status.Options{Host: host.New(log)})
//	p := l.Look(ctx)                                    // below 2 s, whatever hangs
//	fmt.Print(status.Render(p, status.Screen{Width: 100}))
//	os.Exit(p.Level.ExitCode())
//
// [Looker.Facts] asks all sources at once, each in a goroutine that is left
// behind when it does not answer; [Judge] makes a [Picture] of the [Facts] that
// came; [Render] draws it. Only the first touches the machine, and it changes
// nothing.
//
// It is used by the command "drbdnfs status" and by drbdnfsd's status page. What
// it does not do: ask the other node. What is known of that one comes from
// Pacemaker, and from DRBD's view of its peer.
//
// A source may hang in the kernel, where nothing helps: reading a file on the
// volume, asking DRBD or LVM. So no answer is ever waited for beyond the limit,
// and no more than a few questions are begun for a source that does not answer.
package status
