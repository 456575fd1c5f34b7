package group_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// serving are the facts of a node that serves.
func serving() group.Facts {
	v := vip.VIP{Prefix: netip.MustParsePrefix(vip4 + "/24")}
	return group.Facts{
		DRBD: &drbd.Resource{
			Name: "res0", Role: drbd.RolePrimary,
			Devices: map[int]*drbd.Device{0: {Disk: drbd.DiskUpToDate}},
			Connections: map[int]*drbd.Connection{1: {
				State:       drbd.ConnConnected,
				PeerDevices: map[int]*drbd.PeerDevice{0: {Replication: drbd.ReplEstablished, PeerDisk: drbd.DiskUpToDate}},
			}},
		},
		Recorded: true, Mount: mount.Mounted, Place: nfs.PlaceVolume, Daemons: true, Threads: 8, ThreadsOurs: true,
		Addresses: []vip.State{{VIP: v, Interface: "ens3", Present: true, InPlace: true}},
	}
}

// Ensure that facts are told in words, the cause before its consequences.
func TestFacts(t *testing.T) {
	tests := []struct {
		name   string
		change func(f *group.Facts)
		pieces string
		broken string
	}{
		{"serving", func(*group.Facts) {}, "DRBD Primary, mount, NFS state link, NFS daemons, nfsd, address 192.168.2.63", ""},
		{
			"nothing", func(f *group.Facts) {
				*f = group.Facts{Place: nfs.PlaceLocal, DaemonsMissing: []string{"rpc.mountd"}, Addresses: []vip.State{{VIP: f.Addresses[0].VIP}}}
			},
			"", "DRBD is down, the volume is not mounted, /var/lib/nfs does not lead to the volume, rpc.mountd is not running, no nfsd thread is running, address 192.168.2.63 is missing",
		},
		{"Secondary", func(f *group.Facts) { f.DRBD.Role = drbd.RoleSecondary }, "mount, NFS state link, NFS daemons, nfsd, address 192.168.2.63", "DRBD is Secondary"},
		{"suspended by the administrator", func(f *group.Facts) { f.DRBD.Suspended = drbd.SuspendedUser }, "", ""},
		{"without a disk, peer good", func(f *group.Facts) { f.DRBD.Devices[0].Disk = drbd.DiskDiskless }, "", ""},
		{"without a disk, peer off", func(f *group.Facts) {
			f.DRBD.Devices[0].Disk = drbd.DiskDiskless
			f.DRBD.Connections[1].PeerDevices[0].Replication = drbd.ReplOff
		}, "", "no UpToDate data is reachable (local disk Diskless)"},
		{"threads of somebody else", func(f *group.Facts) { f.ThreadsOurs = false }, "DRBD Primary, mount, NFS state link, NFS daemons, address 192.168.2.63", "nfsd was started by somebody else"},
		{"export missing", func(f *group.Facts) { f.ExportsMissing = []nfs.Export{{Path: "/home/nfs/d", Client: "*"}} }, "", "/home/nfs/d is not exported to *"},
		{"address wrong", func(f *group.Facts) { f.Addresses[0].InPlace = false }, "", "address 192.168.2.63 is on ens3 in the wrong form"},
		{"foreign mount", func(f *group.Facts) { f.Mount = mount.Foreign }, "DRBD Primary, NFS state link, NFS daemons, nfsd, address 192.168.2.63", "another file system is mounted on the directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := serving()
			tt.change(&f)
			if got := strings.Join(f.Pieces(), ", "); tt.pieces != "" && got != tt.pieces {
				t.Errorf("pieces: got %q, want %q", got, tt.pieces)
			}
			if got := strings.Join(f.Broken(), ", "); got != tt.broken {
				t.Errorf("broken: got %q, want %q", got, tt.broken)
			}
		})
	}
}

// Ensure that a node that cannot be promoted says why, and one that can does
// not.
func TestEligible(t *testing.T) {
	f := serving()
	if why := f.Eligible(); why != "" {
		t.Errorf("serving: %q", why)
	}
	f.ThreadsOurs = false
	if why := f.Eligible(); !strings.Contains(why, "another NFS server") {
		t.Errorf("another server: %q", why)
	}
	f.Threads, f.Mount = 0, mount.Foreign
	if why := f.Eligible(); !strings.Contains(why, "umount") {
		t.Errorf("another mount: %q", why)
	}
}

// Ensure that errors that say that a node lacks something are told apart.
func TestIsMissing(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("x: %w", admin.ErrUnknownResource): true,
		fmt.Errorf("x: %w", admin.ErrBrokenConfig):    true,
		admin.ErrRefused:   false,
		errors.New("gone"): false,
	} {
		if got := group.IsMissing(err); got != want {
			t.Errorf("%v: got %v", err, got)
		}
	}
}

// Ensure that looking at a node changes nothing, whatever state it is in.
func TestInspectChangesNothing(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		inspect := func() group.Facts {
			t.Helper()
			var f group.Facts
			h.Action(t.Context(), func(ctx context.Context) {
				var err error
				f, err = open(t, h).Inspect(ctx)
				must(t, err)
			})
			for _, op := range h.Ops() {
				if op != "drbd.status" {
					t.Errorf("did %s", op)
				}
			}
			return f
		}
		if f := inspect(); f.DRBD != nil || len(f.Pieces()) > 0 {
			t.Errorf("fresh node: %+v", f)
		}
		serve(t, h)
		if f := inspect(); len(f.Broken()) > 0 || !f.ThreadsOurs || f.Threads != 8 || f.Place != nfs.PlaceVolume {
			t.Errorf("serving node: %+v", f)
		}
		must(t, open(t, h).Down(t.Context()))
		if f := inspect(); len(f.Pieces()) > 0 || f.DRBD == nil {
			t.Errorf("ready node: %+v", f)
		}
	})
}

// Ensure that the record survives being written and read, and that neither its
// absence nor its ruin keeps anything from working.
func TestRecord(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		rec, err := group.LoadRecord(h, "nfs")
		if err != nil || rec.Params != nil {
			t.Errorf("no record: %+v, %v", rec, err)
		}
		serve(t, h)
		rec, err = group.LoadRecord(h, "nfs")
		if err != nil || rec.Params["drbd_resource"] != "res0" || rec.Device != "/dev/drbd1000" || !rec.NFSD || rec.Action != "" || rec.Step != "" {
			t.Errorf("serving: %+v, %v", rec, err)
		}
		must(t, open(t, h).Down(t.Context()))
		if rec, err = group.LoadRecord(h, "nfs"); err != nil || rec.NFSD || rec.Action != "" {
			t.Errorf("down: %+v, %v", rec, err)
		}
		h.SetFile(group.RunDir+"/nfs.json", `{"params":`)
		if _, err = group.LoadRecord(h, "nfs"); err == nil {
			t.Error("a ruined record was read")
		}
		must(t, open(t, h).Stop(t.Context()))
		if _, there := h.File(group.RunDir + "/nfs.json"); there {
			t.Error("the record outlives stop")
		}
		h.Fail("read "+group.RunDir+"/nfs.json", errInjected)
		if _, err = group.LoadRecord(h, "nfs"); !errors.Is(err, errInjected) {
			t.Errorf("error: %v", err)
		}
	})
}

// Ensure that the record says what is being done while it is, and what failed.
func TestRecordOfUnfinished(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		serve(t, h)
		h.Action(t.Context(), func(ctx context.Context) {
			h.Kill("mount.umount", 1, hosttest.Before)
			_ = open(t, h).Down(ctx)
		})
		rec, err := group.LoadRecord(h, "nfs")
		if err != nil || rec.Action != "demote" || rec.Step != "umount" {
			t.Errorf("killed: %+v, %v", rec, err)
		}
		must(t, open(t, h).Down(t.Context()))
		if rec, err = group.LoadRecord(h, "nfs"); err != nil || rec.Action != "" || rec.Step != "" {
			t.Errorf("repeated: %+v, %v", rec, err)
		}
	})
}
