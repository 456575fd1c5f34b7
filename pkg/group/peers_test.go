package group_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

const savedPeers = "/home/nfs/var/lib/nfs/drbdnfs-peers"

// Ensure that connections are saved on the volume alone, and that no list is
// better than an empty one.
func TestSavePeers(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		must(t, open(t, h).SavePeers(t.Context())) // nothing is mounted
		g := serve(t, h)
		must(t, g.SavePeers(t.Context()))
		if _, there := h.File(savedPeers); there {
			t.Error("an empty list was saved")
		}
		h.Connect(vip4+":2049", "192.168.2.99:701")
		h.Connect(vip4+":22", "192.168.2.98:702")
		h.Connect("192.168.2.61:2049", "192.168.2.97:703")
		must(t, g.SavePeers(t.Context()))
		want := "# drbdnfs peers 1\n" + vip4 + ":2049 192.168.2.99:701\n"
		if got, _ := h.File(savedPeers); got != want {
			t.Errorf("saved %q, want %q", got, want)
		}
		h.Sockets = nil // cut off: these are the clients that will need a tickle
		must(t, g.SavePeers(t.Context()))
		if got, _ := h.File(savedPeers); got != want {
			t.Errorf("saved %q, want %q", got, want)
		}
		h.Fail("sockets", errInjected)
		if err := g.SavePeers(t.Context()); !errors.Is(err, errInjected) {
			t.Errorf("error: %v", err)
		}
		h.Clear()
		h.Connect(vip4+":2049", "192.168.2.99:701")
		h.Fail("peers.save", errInjected)
		must(t, g.Down(t.Context())) // a list that cannot be saved keeps nothing up
	})
}

// Ensure that the saver runs when the connections have changed, and writes
// nothing to the volume before it does.
func TestSavePeersOnChange(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		g := serve(t, h)
		savers := func() (n int) {
			for _, argv := range h.Started {
				if strings.Join(argv[1:], " ") == "save-peers nfs" {
					n++
				}
			}
			return n
		}
		must(t, g.SavePeersOnChange(t.Context()))
		h.Connect(vip4+":2049", "192.168.2.99:701")
		must(t, g.SavePeersOnChange(t.Context()))
		must(t, g.SavePeersOnChange(t.Context()))
		if n := savers(); n != 1 {
			t.Errorf("%d savers, want 1", n)
		}
		if _, there := h.File(savedPeers); there {
			t.Error("the list was written in the foreground")
		}
		must(t, g.Down(t.Context()))
		must(t, g.Up(t.Context()))
		h.Connect(vip4+":2049", "192.168.2.99:701")
		must(t, g.SavePeersOnChange(t.Context()))
		if n := savers(); n != 2 {
			t.Errorf("%d savers after another promotion, want 2", n)
		}
		h.Connect(vip4+":2049", "192.168.2.98:702")
		h.Fail("peers.start", errInjected)
		if err := g.SavePeersOnChange(t.Context()); !errors.Is(err, errInjected) {
			t.Errorf("error: %v", err)
		}
		h.Clear()
		must(t, g.SavePeersOnChange(t.Context()))
		if n := savers(); n != 3 {
			t.Errorf("%d savers after a failure, want 3", n)
		}
	})
}

// Ensure that announcements go on for some seconds, over failures, and end with
// the address or the context.
func TestKeepAnnouncing(t *testing.T) {
	tests := []struct {
		name  string
		scene func(h *hosttest.Host, cancel func())
		want  int
	}{
		{"to the end", func(*hosttest.Host, func()) {}, 5},
		{"one fails", func(h *hosttest.Host, _ func()) { h.FailNth("vip.announce", 2, errInjected) }, 4},
		{"address goes", func(h *hosttest.Host, _ func()) { time.AfterFunc(3*time.Second, func() { h.DropAddress(vip4) }) }, 2},
		{"stopped", func(_ *hosttest.Host, cancel func()) { time.AfterFunc(4*time.Second, cancel) }, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, h *hosttest.Host) {
				g := serve(t, h)
				h.Announced = nil
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				tt.scene(h, cancel)
				must(t, g.KeepAnnouncing(ctx))
				if len(h.Announced) != tt.want {
					t.Errorf("announced %d times, want %d", len(h.Announced), tt.want)
				}
			})
		})
	}
}
