// Package monitoring holds no code: its tests compare the alert rules, their
// runbook and the dashboard with what drbdnfsd really exports.
//
//	go test ./test/monitoring
//
// A rule or a panel that asks for a metric, a label or a word that does not
// exist never fires and never fails: it is silent. So each expression is taken
// apart (selectors, matchers, groupings), and every name in it must occur in
// the golden files of pkg/metrics, which are recordings of real DRBD, or in
// testdata/others.prom, which lists what other exporters have and why it is
// used. promtool, where it is installed, parses the dashboard's expressions;
// scripts/check-prometheus also runs the rules' own tests with it.
package monitoring
