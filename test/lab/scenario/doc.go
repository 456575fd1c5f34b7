// Package scenario holds the lab's end-to-end tests and the demo: each scenario
// drives the real cluster from outside and asserts on what the client and the
// nodes really saw.
//
//	env := scenario.NewEnv(r, os.Stdout)
//	list, err := scenario.Select([]string{"crash", "move"})
//	failed := env.RunAll(ctx, list)
//
// Scenarios run one after the other on one cluster. Each begins with Ready, which
// sets the cluster up where it is missing and rebuilds it from blank disks when an
// earlier scenario has left it in a state that does not heal, so each also runs
// alone. Every wait is bounded and polls.
package scenario
