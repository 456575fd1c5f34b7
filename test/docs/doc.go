// Package docs holds the tests of README.md and docs: that their tables say what
// the code says, that links lead somewhere, that each command they name exists
// and is run by the lab or says why it is not, and that the Japanese documents
// are in step. Tables that are made from the code are written anew by
//
//	go test ./test/docs -update
//
// The tests read the source for what a package does not export, such as the
// order of its constants. The documents about other parts are tested where those
// are: docs/configuration.md in pkg/config, docs/agent.md in ocf/agent. What the
// commands print is compared in the lab, by the scenario docs.
package docs
