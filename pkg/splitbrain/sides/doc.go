// Package sides shows both sides of a split brain to a person, and follows what
// the nodes do about his order.
//
//	l := sides.New(sides.Options{Host: h, StateDir: "/var/lib/drbdnfs", Listens: listens})
//	p := sides.Judge(l.Look(ctx, sides.Pair{Resource: "res0", Node: "drbdtest1", Peer: "drbdtest2"}))
//	fmt.Print(p.Text())
//
// What both nodes know comes from the evidence that their daemons publish in
// Pacemaker's attributes. Where this node's daemon does not run, DRBD is asked for
// this node's part, and the other side is not known any better than the attribute
// says. It looks and changes nothing; an order is the caller's to send.
//
// [Judge], [Picture.Text] and [Watch.See] are pure.
package sides
