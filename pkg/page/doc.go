// Package page shows a person in a browser what drbdnfs status shows in a
// terminal: drbdnfsd serves it at /, and the same picture as JSON at
// /status.json.
//
//	looker, err := status.New(status.Options{Host: host.New(log)})
//	p, err := page.New(page.Options{Look: looker.Look, Log: log})
//	defer p.Close()
//	http.Handle("/", p)
//
// However many browsers ask, there is one look at a time, and none sooner than a
// second after the last; all who ask meanwhile get the same answer. A look that
// does not come back is answered with 503 instead: an old picture is never given
// out as a new one. The page tells its reader when it can get no new one.
//
// The page is one document without outside resources. Its script fetches it anew
// every few seconds and puts in what has changed; without script the browser
// loads it again. Everything in it went through html/template, and the content
// security policy allows no other script and no other style than its own.
//
// It is used by the health daemon. What it does not do: listen, ask for
// passwords, judge, or change anything; it takes GET and HEAD alone.
package page
