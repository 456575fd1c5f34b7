package hosttest

import (
	"os"
	"syscall"
	"testing"
)

// Executable writes a program or a script that the test runs through the real
// host. A program that another goroutine starts meanwhile inherits the open
// file for a moment, and the kernel then refuses to run it ("text file busy",
// go.dev/issue/22315): Executable returns when that cannot happen any more.
func Executable(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		tb.Fatal(err)
	}
	SettleExecutables()
}

// SettleExecutables does for all files written before what [Executable] does
// for one: where testscript has written them.
func SettleExecutables() {
	// The lock is held from the fork until the child has executed its program
	// and with that closed what it inherited.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
}
