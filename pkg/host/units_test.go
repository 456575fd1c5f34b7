package host_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

const unitName = "drbdnfs-daemons.service"

var daemonUnit = host.Unit{Name: unitName, Oneshot: true, Commands: [][]string{{"/usr/sbin/nfsdcld", "-d"}, {"/usr/sbin/rpc.mountd"}}}

func expectCalled(t *testing.T, s *systemd, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.called()); diff != "" {
		t.Errorf("calls of systemd (-want +got):\n%s", diff)
	}
}

// Ensure that a unit is started over systemd's private socket, after one of
// its name, running or failed, has been stopped and forgotten.
func TestStartTransient(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, s := host.New(nil), newSystemd(t)
	if err := h.StartTransient(t.Context(), "nfs.daemons.start", daemonUnit); err != nil {
		t.Fatal(err)
	}
	expectCalled(t, s, "StartTransientUnit "+unitName)
	s.with(func() {
		if want := `["/usr/sbin/nfsdcld", ["/usr/sbin/nfsdcld", "-d"], false], ["/usr/sbin/rpc.mountd", ["/usr/sbin/rpc.mountd"], false]`; !strings.Contains(s.execs[0], want) {
			t.Errorf("properties %s", s.execs[0])
		}
	})
	if err := h.StartTransient(t.Context(), "nfs.daemons.start", daemonUnit); err != nil {
		t.Fatal(err)
	}
	expectCalled(t, s, "StartTransientUnit "+unitName, "StopUnit "+unitName, "ResetFailedUnit "+unitName, "StartTransientUnit "+unitName)

	s.with(func() { s.loaded[unitName], s.failed[unitName] = false, true })
	if err := h.StartTransient(t.Context(), "nfs.daemons.start", daemonUnit); err != nil {
		t.Fatal(err)
	}
	expectCalled(t, s, "StartTransientUnit "+unitName, "StopUnit "+unitName, "ResetFailedUnit "+unitName, "StartTransientUnit "+unitName)
}

// Ensure that a start that failed says where to look, and one that does not
// end ends with the context.
func TestStartTransientFails(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, s := host.New(nil), newSystemd(t)
	s.with(func() { s.result[unitName] = "failed" })
	err := h.StartTransient(t.Context(), "nfs.daemons.start", daemonUnit)
	if want := `nfs.daemons.start: start ` + unitName + `: systemd job ended as "failed": see journalctl -u ` + unitName; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	s.with(func() { s.result[unitName], s.hang[unitName] = "", true })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := h.StartTransient(ctx, "nfs.daemons.start", daemonUnit); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
	s.with(func() { s.refuse = "TransactionIsDestructive" }) // the machine shuts down
	err = h.StartTransient(t.Context(), "nfs.daemons.start", daemonUnit)
	if err == nil || !strings.Contains(err.Error(), "TransactionIsDestructive") {
		t.Errorf("error %v", err)
	}
}

// Ensure that what goes on in the background is not waited for.
func TestStartTransientNoWait(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, s := host.New(nil), newSystemd(t)
	s.with(func() { s.hang["drbdnfs-announce.service"] = true })
	u := host.Unit{Name: "drbdnfs-announce.service", Commands: [][]string{{"/x", "announce"}}, NoWait: true}
	if err := h.StartTransient(t.Context(), "announce.start", u); err != nil {
		t.Error(err)
	}
}

func TestStopUnit(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, s := host.New(nil), newSystemd(t)
	if err := h.StopUnit(t.Context(), "unit.stop", unitName); err != nil {
		t.Errorf("of what is not there: %v", err)
	}
	expectCalled(t, s, "StopUnit "+unitName)
	s.with(func() { s.loaded[unitName] = true })
	if err := h.StopUnit(t.Context(), "unit.stop", unitName); err != nil {
		t.Error(err)
	}
	expectCalled(t, s, "StopUnit "+unitName, "ResetFailedUnit "+unitName)
	s.with(func() { s.loaded[unitName], s.result[unitName] = true, "timeout" })
	if err := h.StopUnit(t.Context(), "unit.stop", unitName); err == nil || !strings.HasPrefix(err.Error(), "unit.stop: stop "+unitName+": ") {
		t.Errorf("error %v", err)
	}
}

func TestStartUnit(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, s := host.New(nil), newSystemd(t)
	if err := h.StartUnit(t.Context(), "nfs.rpcbind", "rpcbind.service"); err != nil {
		t.Error(err)
	}
	expectCalled(t, s, "StartUnit rpcbind.service")
	s.with(func() { s.result["rpcbind.service"] = "dependency" })
	if err := h.StartUnit(t.Context(), "nfs.rpcbind", "rpcbind.service"); err == nil || !strings.Contains(err.Error(), `"dependency"`) {
		t.Errorf("error %v", err)
	}
}

// Ensure that a machine without systemd is an error that says so.
func TestNoSystemd(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h := host.New(nil)
	mountOver(t, "/run", "")
	for name, err := range map[string]error{
		"start transient": h.StartTransient(t.Context(), "op", daemonUnit),
		"stop":            h.StopUnit(t.Context(), "op", unitName),
		"start":           h.StartUnit(t.Context(), "op", unitName),
	} {
		if err == nil || !strings.Contains(err.Error(), "connect to systemd") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
