package host_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// child runs a shell script that prints a line when it is ready and then
// waits. It ends with the test.
func child(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script+"; echo ready; read x")
	cmd.Dir = dir
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd
}

// Ensure that every way to keep a mount busy is seen, and nothing that does
// not: other file systems below it, and directories whose names start alike.
func TestHolders(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, dir := host.New(nil), tmpfs(t, "")
	for _, d := range []string{dir + "/sub", dir + "x"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Remove(dir + "x") })
	if err := h.Mount(t.Context(), "mount.mount", "other", dir+"/sub", "tmpfs", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Unmount(context.Background(), "mount.umount", dir+"/sub") })
	m, _ := mountOn(t, h, dir)
	sub, _ := mountOn(t, h, dir+"/sub")
	write(t, dir+"/file", "")
	write(t, dir+"/sub/file", "")

	cwd := child(t, dir, ":")
	file := child(t, "/", "exec 7<"+dir+"/file")
	other := child(t, "/", "exec 7<"+dir+"/sub/file")
	beside := child(t, dir+"x", ":")

	expect := func(m host.Mount, want map[int]string) {
		t.Helper()
		holders, err := h.Holders(t.Context(), m.ID, m.Dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[int]string{}
		for _, p := range holders {
			got[p.PID] = p.Command + " " + p.What + " " + p.Path
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("holders of %s (-want +got):\n%s", m.Dir, diff)
		}
	}
	expect(m, map[int]string{cwd.Process.Pid: "sh cwd " + dir, file.Process.Pid: "sh fd 7 " + dir + "/file"})
	expect(sub, map[int]string{other.Process.Pid: "sh fd 7 " + dir + "/sub/file"})

	_ = cwd.Process.Kill()
	_ = cwd.Wait()
	expect(m, map[int]string{file.Process.Pid: "sh fd 7 " + dir + "/file"})
	if err := beside.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Holders(ended, m.ID, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// Ensure that a program that runs from the mount, and one that has only mapped
// a file of it, are seen.
func TestHoldersExecutable(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, dir := host.New(nil), tmpfs(t, "")
	m, _ := mountOn(t, h, dir)
	program, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Skip(err)
	}
	hosttest.Executable(t, dir+"/prog", string(program))
	cmd := exec.CommandContext(t.Context(), dir+"/prog", "60")
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot run from a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	write(t, dir+"/mapped", strings.Repeat("x", 4096))
	f, err := os.Open(dir + "/mapped")
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Cleanup(func() { _ = syscall.Munmap(mapped) })

	holders, err := h.Holders(t.Context(), m.ID, dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]string{}
	for _, p := range holders {
		got[p.PID] = p.What + " " + p.Path
	}
	if diff := cmp.Diff(map[int]string{cmd.Process.Pid: "exe " + dir + "/prog", h.Self(): "map " + dir + "/mapped"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHolderString(t *testing.T) {
	p := host.Holder{PID: 1234, Command: "smbd", What: "cwd", Path: "/home/nfs/x"}
	if got, want := p.String(), "smbd[1234] (cwd /home/nfs/x)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSignal(t *testing.T) {
	h := host.New(nil)
	cmd := child(t, "/", ":")
	if err := h.Signal("mount.signal", cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var ee *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ee) || ee.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", err)
	}
	if err := h.Signal("mount.signal", cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Errorf("of a process that is gone: %v", err)
	}
	if os.Getuid() != 0 {
		expectOp(t, h.Signal("mount.signal", 1, syscall.Signal(0)), "mount.signal", syscall.EPERM)
	}
}

// Ensure that the identity of the parent is the same for one parent and names
// it.
func TestParentIdentity(t *testing.T) {
	h := host.New(nil)
	id := h.ParentIdentity()
	pid, start, ok := strings.Cut(id, "@")
	if !ok || pid != itoa(os.Getppid()) || start == "" || id != h.ParentIdentity() {
		t.Errorf("identity %q", id)
	}
	stat := read(t, "/proc/"+pid+"/stat")
	if fields := strings.Fields(stat[strings.LastIndexByte(stat, ')'):]); fields[20] != start {
		t.Errorf("started at %s, want %s", start, fields[20])
	}
}
