package rig

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLoadOrder(t *testing.T) {
	dep := []byte(`kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/net/core/failover.ko:
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
`)
	order, err := loadOrder(dep, []string{"virtio_net", "virtio_rng"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range order {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".ko"))
	}
	want := []string{"failover", "virtio_ring", "virtio", "virtio_net", "virtio-rng"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if _, err := loadOrder(dep, []string{"nosuch"}); err == nil {
		t.Error("no error for an unknown module")
	}
}

func TestPoll(t *testing.T) {
	calls := 0
	err := Poll(t.Context(), "x", time.Second, time.Millisecond, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("no")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("err %v after %d calls", err, calls)
	}
	err = Poll(t.Context(), "the moon", 20*time.Millisecond, time.Millisecond, func(context.Context) error { return errors.New("still day") })
	if err == nil || !strings.Contains(err.Error(), "the moon") || !strings.Contains(err.Error(), "still day") {
		t.Errorf("error %v", err)
	}
}

func TestPidBelongsToTheLab(t *testing.T) {
	t.Setenv("LAB_DIR", t.TempDir())
	r, err := Open(t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(r.vmDir(Node1), 0o700); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(r.vmDir(Node1), "pid")
	for _, text := range []string{"", "no number", "1", strconv.Itoa(os.Getpid()), "4194304"} {
		if err := os.WriteFile(pidFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r.Running(Node1) {
			t.Errorf("pid file %q is taken for the lab's QEMU", text)
		}
	}
}

func TestCheckoutsAreApart(t *testing.T) {
	t.Setenv("LAB_DIR", t.TempDir())
	a, err := Open(t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if a.Netns == b.Netns || a.Dir == b.Dir || a.qemuName(Node1) == b.qemuName(Node1) {
		t.Errorf("two checkouts share %s, %s", a.Netns, a.Dir)
	}
	if err := a.Lock(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(a.Checkout, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Lock(); err == nil {
		t.Error("two hold the same lab")
	}
	if err := b.Lock(); err != nil {
		t.Error(err)
	}
}
