// Package check looks for everything that is, or may become, wrong with the group
// on one node, at any time: what setup would change, what the nodes say of
// themselves differently, what was left behind, what endangers data. It changes
// nothing.
//
//	report := check.Run(ctx, check.Options{Machine: host.New(log), Config: cfg, Self: name, Stages: stages, Version: "0.1.0"})
//	for _, f := range report.Findings {
//		fmt.Println(f.Severity, f.ID, f.Thing, f.Found) // "warning fence-untested drbdtest2 no fencing is on record"
//	}
//
// It has two halves. The sources look, all at once, each for a bounded time, and
// fill in Facts; one that fails or hangs leaves its part nil, and that is a
// finding itself. Judge is pure: facts in, findings out. What setup already looks
// at is not looked at again: its stages are asked, and their items translated.
//
// There is no way to look at another node. What is known of one comes through
// Pacemaker: its state, and what its drbdnfsd publishes (package declare). So run
// it on every node.
//
// Hazards: the DRBD options, clocks and ports are those of one moment; and that
// fencing worked once is no proof that it will.
package check
