package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// searchPath is where programs are looked for, in this order. It does not
// follow the caller's PATH: pacemaker-execd's is systemd's, and a shell's can
// be anything.
const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"

// stderrLimit bounds what an [ExitError] keeps of a program's standard error.
const stderrLimit = 4096

// killDelay is how long a program may take to end after SIGTERM before it is
// killed.
const killDelay = 500 * time.Millisecond

// Host is this machine. Use [New]; the zero value has no logger.
// It holds no state and is safe for concurrent use.
type Host struct {
	log  *slog.Logger
	path string
}

// New returns this machine. A nil logger discards.
func New(log *slog.Logger) *Host {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Host{log: log, path: searchPath}
}

// WithPath returns a copy of h that looks for programs in the colon-separated
// list path. Tests use it to put scripted executables first.
func (h *Host) WithPath(path string) *Host {
	c := *h
	c.path = path
	return &c
}

// Cmd is one program to run, without a shell in between.
type Cmd struct {
	Op    string   // name of the operation, for logs and fault injection: "drbd.primary"
	Name  string   // program, looked up in a fixed PATH unless it holds a slash
	Args  []string // arguments without argv[0]
	Stdin []byte   // what the program reads; nil is /dev/null
	Env   []string // added to the clean environment as KEY=value
}

// Result is what a program printed.
type Result struct {
	Stdout []byte
	Stderr []byte
}

// ExitError is a program that ended with a code other than zero or by a
// signal. It is the only error of this package for a program that did run.
type ExitError struct {
	Op     string   // name of the operation
	Argv   []string // program and arguments
	Code   int      // exit code, -1 when ended by a signal
	Signal string   // name of the signal such as SIGKILL, empty otherwise
	Stderr string   // up to 4 KiB of the end of standard error, trimmed
}

// Error names the program, how it ended and the last line it said.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != "" {
		how = "ended by " + e.Signal
	}
	msg := fmt.Sprintf("%s: %s", strings.Join(e.Argv, " "), how)
	if e.Stderr != "" {
		lines := strings.Split(e.Stderr, "\n")
		msg += ": " + strings.TrimSpace(lines[len(lines)-1])
	}
	return msg
}

// ErrNotInstalled reports a program that is not on this machine.
var ErrNotInstalled = errors.New("not installed")

// LookPath returns the absolute path of program name in h's search path, or an
// error that is [ErrNotInstalled].
func (h *Host) LookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		if executable(name) {
			return name, nil
		}
		return "", fmt.Errorf("%s: %w", name, ErrNotInstalled)
	}
	for dir := range strings.SplitSeq(h.path, ":") {
		if p := filepath.Join(dir, name); executable(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNotInstalled)
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// Run runs c and returns what it printed. A program that is missing is
// [ErrNotInstalled]; one that ended badly is an [*ExitError], and the Result
// still holds what it printed. When ctx ends first the program gets SIGTERM,
// then SIGKILL, and the error wraps ctx.Err().
//
// The program runs in C locale with a clean environment and cwd "/", and does
// not inherit a notification socket or listen descriptors. It stays in the
// caller's process group: Pacemaker kills the group on a timeout, and a helper
// must not survive that.
func (h *Host) Run(ctx context.Context, c Cmd) (Result, error) {
	path, err := h.LookPath(c.Name)
	if err != nil {
		return Result{}, err
	}
	cmd := exec.CommandContext(ctx, path, c.Args...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + h.path, "LC_ALL=C", "HOME=/root"}, c.Env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay

	start := time.Now()
	err = cmd.Run()
	res := Result{Stdout: out.Bytes(), Stderr: errb.Bytes()}
	h.log.Debug("command ended", "action", c.Op, "argv", cmd.Args, "dur", time.Since(start), "err", err)
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		return res, nil // a child that keeps our pipe open is not its parent's failure
	}
	if ctx.Err() != nil {
		return res, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), ctx.Err())
	}
	var ee *exec.ExitError
	if !errors.As(err, &ee) {
		return res, fmt.Errorf("run %s: %w", strings.Join(cmd.Args, " "), err)
	}
	return res, newExitError(c, cmd.Args, ee, errb.Bytes())
}

func newExitError(c Cmd, argv []string, ee *exec.ExitError, stderr []byte) *ExitError {
	if len(stderr) > stderrLimit {
		stderr = stderr[len(stderr)-stderrLimit:]
	}
	e := &ExitError{
		Op:     c.Op,
		Argv:   append([]string{filepath.Base(argv[0])}, argv[1:]...),
		Code:   ee.ExitCode(),
		Stderr: strings.TrimSpace(string(stderr)),
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = unix.SignalName(ws.Signal())
	}
	return e
}
