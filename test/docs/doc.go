// Package docs holds the tests of docs/daemon.md and docs/split-brain.md: that
// their tables say what the code says. Tables that are made from the code are
// written anew by
//
//	go test ./test/docs -update
//
// The tests read the source for what a package does not export, such as the
// order of its constants. The documents about other parts are tested where those
// are: docs/configuration.md in pkg/config, docs/agent.md in ocf/agent.
package docs
