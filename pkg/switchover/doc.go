// Package switchover moves the service to another node of the cluster on
// purpose, and takes nodes out of service and back.
//
//	s := switchover.New(switchover.Options{Machine: h, Config: cfg, Self: "drbdtest1", Show: show})
//	plan, err := s.Plan(ctx, switchover.Request{Action: switchover.Move, Node: "drbdtest2"})
//	if err == nil && !plan.Refused() {
//		result, err = s.Run(ctx, plan)
//	}
//
// [Switch.Plan] looks and decides, and changes nothing; what it decides on is
// data ([Facts]) and the decision is pure ([Decide]). [Switch.Run] does it,
// tells each step as an [Event], and measures how long the service addresses
// did not answer.
//
// A move is one location constraint with a fixed id, GROUP-move, which asks for
// the promoted role on the target until a time that is part of it. It exists
// once in the cluster, so it is also the lock that keeps two moves apart. It is
// taken back whatever happens; where this program is killed it ends by itself,
// and the next run on the same node removes it.
//
// Its score is what keeps data safe against a change after the look. Agents
// publish 10000 for good data, 1000 for good data while some peer is unknown,
// 10 or nothing otherwise (package drbd). With 9500 more, the target wins over
// the active node's 10000 only with 1000 at least: a target that loses its data
// in the last moment is not promoted, and the service stays where it is. Which
// node wins was seen with crm_simulate 2.1.5. It also showed that
// resource-stickiness does not hold a promoted instance where it is: both
// instances run, so both have it. A preference for the promoted role brings the
// service back once the constraint is gone, and [Decide] refuses to move against
// one.
//
// The package is used by the command drbdnfs. What it does not do: promote or
// demote anything itself, resolve a split brain, or change DRBD.
package switchover
