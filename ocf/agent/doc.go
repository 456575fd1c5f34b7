// Package agent is the OCF agent ocf:spacei:drbdnfs: it turns Pacemaker's
// actions into calls of package group and what came of them into exit codes.
//
//	a := agent.New(agent.Options{System: host.New(log), Log: log, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr})
//	os.Exit(int(a.Run(ctx, "monitor")))
//
// The traps of this protocol that shape the code: a timeout is a SIGKILL
// without warning; a stop can come without any parameter; a probe must be
// answered on a node that has nothing installed, and must change nothing; a
// failed stop gets the node fenced.
package agent
