// Package alert tells a site that has no Prometheus what became of a split
// brain: by a command of its own, by a webhook, or by both.
//
//	a, err := alert.New(alert.Options{Host: host.New(log), Command: []string{"/usr/local/bin/page", "--urgent"}, Log: log})
//	go a.Run(ctx)
//	a.Send(alert.Alert{Kind: alert.Found, When: time.Now(), Node: "drbdtest1", Resource: "res0", Peer: "drbdtest2",
//		Summary: "res0 is split between drbdtest1 and drbdtest2"})
//	// {"version":1,"id":"8b6c…","kind":"found",…} on the command's standard input
//
// Send never waits. Each way out has a queue of its own and a goroutine that
// empties it, so that one that hangs does not hold up the other; a try that
// fails is repeated with a growing pause, and then given up and counted. Nothing
// that the daemon decides depends on an alert having arrived.
//
// A secret is never in a log or an error: the webhook is named there by its
// scheme and host alone, since the rest of such a URL often is the secret, and
// an answer's body is not repeated. The variables http_proxy and the like are
// ignored, and a redirection is not followed: alerts go where the configuration
// says and nowhere else.
package alert
