// Package ocf is the resource agent protocol as Pacemaker uses it: exit codes,
// actions, the environment, meta-data and exit reasons. It knows nothing of
// DRBD or NFS; package ocf/agent is the agent.
//
// An agent is a program that Pacemaker runs with one argument, the action, and
// with its parameters in the environment:
//
//	env := ocf.ParseEnv(os.Environ())
//	if err := start(env.Param("drbd_resource")); err != nil {
//		fmt.Fprintln(os.Stderr, ocf.ExitReasonLine(env.ReasonPrefix, err))
//		os.Exit(int(ocf.CodeOf(err)))
//	}
//
// Facts are from the OCF resource agent API 1.1 and from what Pacemaker 2.1
// really does with it (lib/services/services_linux.c,
// daemons/controld/controld_execd.c).
package ocf
