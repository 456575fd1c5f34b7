// Package arch holds no code: its tests say which package may use what, and
// fail when one does otherwise.
//
//	go test ./test/arch
//
// The rules keep two promises. The world outside is reached through pkg/host
// alone, so that every decision above it can be tested with a fake. And the
// agent, which starts on every monitor, stays small: it links neither the
// metrics nor the LINSTOR client nor a command-line framework.
package arch
