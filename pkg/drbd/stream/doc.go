// Package stream owns the child that follows DRBD: "drbdsetup events2". It
// starts the child with the options that this machine's versions understand,
// starts it again when it ends, hangs or has lost lines, has its numbers
// refreshed, and follows DRBD's module as it is loaded and unloaded.
//
//	s, err := stream.New(stream.Options{Host: host.New(log), Log: log})
//	updates := make(chan stream.Update, 16)
//	go s.Run(ctx, updates)
//	state := drbd.NewState()
//	for {
//		select { // one goroutine owns state; it may wait for other things too
//		case u := <-updates:
//			if u.State != nil {
//				state = u.State
//			}
//			for _, ev := range u.Events {
//				for _, change := range state.Apply(ev) { ... }
//			}
//			if u.Numbers != nil {
//				state.Refresh(u.Numbers)
//			}
//		case <-ctx.Done():
//			return
//		}
//	}
//
// Who owns the state: this package parses, the receiver applies. The lines of
// one read of the child's output travel as one [Update], so that the channel
// costs next to nothing per line, parsing and applying share two cores, and
// nobody clones a state of hundreds of resources or locks it. The initial dump
// is applied here, to a state that is handed over once it is complete. A
// receiver that is slow holds up the child, not the memory: the kernel then
// drops messages, which is noticed, and a new dump follows.
//
// The package changes nothing on the node. It never starts drbdsetup while the
// module is not loaded, because drbdsetup would load it.
package stream
