package rig

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func (r *Rig) sshSocket(name string) string { return filepath.Join(r.Dir, "ssh", name) }

// sshArgs are the options of every ssh: one connection per machine is kept and
// shared, because a key exchange costs a second of emulated processor time.
func (r *Rig) sshArgs(name string) []string {
	if r.image.Dir == "" {
		r.loadImage()
	}
	return []string{
		"-F", "none", "-i", r.image.sshKey(), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4",
		"-o", "ControlPath=" + r.sshSocket(name),
		"-o", "KexAlgorithms=curve25519-sha256", "-o", "Ciphers=chacha20-poly1305@openssh.com",
	}
}

func (r *Rig) sshCommand(name string, extra ...string) ([]string, error) {
	m, err := MachineByName(name)
	if err != nil {
		return nil, err
	}
	argv := append([]string{"ip", "netns", "exec", r.Netns, "ssh"}, r.sshArgs(name)...)
	return append(append(argv, extra...), "root@"+m.Address), nil
}

// connect makes the kept connection of a machine where it is missing. It runs
// with no pipes: a master that inherited one would keep its reader waiting.
func (r *Rig) connect(ctx context.Context, name string) error {
	r.sshMu.Lock()
	defer r.sshMu.Unlock()
	check := exec.CommandContext(ctx, "ssh", "-F", "none", "-o", "ControlPath="+r.sshSocket(name), "-O", "check", "root@"+name)
	if check.Run() == nil {
		return nil
	}
	_ = os.Remove(r.sshSocket(name))
	argv, err := r.sshCommand(name, "-f", "-N", "-M")
	if err != nil {
		return err
	}
	master := exec.CommandContext(ctx, argv[0], argv[1:]...)
	master.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := master.Run(); err != nil {
		return fmt.Errorf("ssh to %s: %w", name, err)
	}
	return nil
}

// SSH runs a shell script on a machine and returns its standard output. A script
// that ends with a non-zero status gives an error that quotes its output; use
// ExitCode to read the status.
func (r *Rig) SSH(ctx context.Context, name, script string) (string, error) {
	argv, err := r.sshCommand(name)
	if err != nil {
		return "", err
	}
	if err := r.connect(ctx, name); err != nil {
		return "", err
	}
	out, err := runInput(ctx, strings.NewReader(script), append(argv, "bash -s")...)
	if err != nil {
		return out, fmt.Errorf("on %s: %w", name, err)
	}
	return out, nil
}

// ExitCode returns the exit status of the script behind an error of SSH: 0 for
// nil, -1 when there is none (a lost connection is 255, as ssh has it).
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// Shell replaces the lab tool by an interactive ssh, or by one command.
func (r *Rig) Shell(ctx context.Context, name string, command []string) error {
	argv, err := r.sshCommand(name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], command...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// Put copies a file of this machine to a path on the named one, with mode (for
// example "0755"). The file appears there at once and whole.
func (r *Rig) Put(ctx context.Context, name, local, remote, mode string) error {
	f, err := os.Open(local)
	if err != nil {
		return err
	}
	defer f.Close()
	argv, err := r.sshCommand(name)
	if err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	script := fmt.Sprintf("mkdir -p %q && cat >%q.new && chmod %s %q.new && mv %q.new %q",
		filepath.Dir(remote), remote, mode, remote, remote, remote)
	if _, err := runInput(ctx, f, append(argv, script)...); err != nil {
		return fmt.Errorf("copy %s to %s: %w", filepath.Base(local), name, err)
	}
	return nil
}

// PutTree copies what is below a folder of this machine to a folder on the named
// one, modes and symbolic links included, owned by root. What is there already
// stays.
func (r *Rig) PutTree(ctx context.Context, name, local, remote string) error {
	argv, err := r.sshCommand(name)
	if err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	read, write := io.Pipe()
	defer read.Close() // ends the goroutine where ssh has not read everything
	go func() {
		w := tar.NewWriter(write)
		write.CloseWithError(errors.Join(w.AddFS(os.DirFS(local)), w.Close()))
	}()
	script := fmt.Sprintf("tar -C %q -x --no-same-owner --keep-directory-symlink", remote)
	if _, err := runInput(ctx, read, append(argv, script)...); err != nil {
		return fmt.Errorf("copy %s to %s: %w", local, name, err)
	}
	return nil
}

// WaitSSH waits until a machine answers.
func (r *Rig) WaitSSH(ctx context.Context, name string) error {
	return Poll(ctx, name+" to answer ssh", bootLimit, time.Second, func(ctx context.Context) error {
		if !r.Running(name) {
			return fmt.Errorf("its QEMU has ended; see %s", r.SerialLog(name))
		}
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		_, err := r.SSH(ctx, name, "true")
		return err
	})
}

// closeSSH ends the kept connection of a machine.
func (r *Rig) closeSSH(name string) {
	if _, err := os.Stat(r.sshSocket(name)); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = run(ctx, "ssh", "-F", "none", "-o", "ControlPath="+r.sshSocket(name), "-O", "exit", "root@"+name)
	_ = os.Remove(r.sshSocket(name))
}
