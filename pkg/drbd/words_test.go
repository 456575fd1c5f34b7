package drbd_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

func TestParseProcVersion(t *testing.T) {
	tests := []struct {
		name, in string
		want     drbd.Version
		is84     bool
	}{
		{"in-tree 8.4", "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 211FB288A383ED945B83420 \n", drbd.Version{Major: 8, Minor: 4, Patch: 11}, true},
		{"ELRepo 8.4", "version: 8.4.11-1 (api:1/proto:86-101)\nGIT-hash: 66145a308421e9c124ec391a7848ac20203bb03c\n", drbd.Version{Major: 8, Minor: 4, Patch: 11}, true},
		{"9.1", "version: 9.1.23 (api:2/proto:86-121)\nGIT-hash: 74c5ea3 build by root\nTransports (api:18): tcp\n", drbd.Version{Major: 9, Minor: 1, Patch: 23}, false},
		{"release candidate", "version: 9.3.0-rc.1 (api:2/proto:118-124)", drbd.Version{Major: 9, Minor: 3}, false},
		{"without a bracket", "version: 9.2.16", drbd.Version{Major: 9, Minor: 2, Patch: 16}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := drbd.ParseProcVersion([]byte(tt.in))
			if err != nil || got != tt.want || got.Is84() != tt.is84 {
				t.Errorf("got %v (8.4: %v), %v; want %v (8.4: %v)", got, got.Is84(), err, tt.want, tt.is84)
			}
		})
	}
	for _, in := range []string{"", "\n", "version:", "version: 9", "version: 9.1", "version: 9.1.", "version: a.b.c", "version: 9.-1.2", "srcversion: 9.1.2", "version: 99999.1.1"} {
		t.Run("refuses "+in, func(t *testing.T) {
			if got, err := drbd.ParseProcVersion([]byte(in)); !errors.Is(err, drbd.ErrNoVersion) {
				t.Errorf("got %v, %v; want ErrNoVersion", got, err)
			}
		})
	}
}

func TestVersionCompare(t *testing.T) {
	old, mid, recent := drbd.Version{Major: 8, Minor: 4, Patch: 11}, drbd.Version{Major: 9, Minor: 1, Patch: 7}, drbd.Version{Major: 9, Minor: 2}
	for _, tt := range []struct {
		a, b drbd.Version
		want int
	}{{old, mid, -1}, {mid, old, 1}, {mid, mid, 0}, {mid, recent, -1}, {recent, mid, 1}} {
		if got := tt.a.Compare(tt.b); got != tt.want {
			t.Errorf("%v.Compare(%v) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestUnknownWordsSurvive(t *testing.T) {
	st := replay(t, "create device name:r volume:0 minor:7 disk:Brilliant quorum:perhaps")
	d := st.Resources["r"].Devices[0]
	if d.Disk != "Brilliant" || d.Disk.Valid() {
		t.Errorf("disk %q valid %v, want the word kept and not valid", d.Disk, d.Disk.Valid())
	}
	if d.Quorum != drbd.Unknown {
		t.Errorf("quorum %v, want unknown", d.Quorum)
	}
}

func TestValid(t *testing.T) {
	for word, valid := range map[string]bool{
		"Primary": drbd.RolePrimary.Valid(), "UpToDate": drbd.DiskUpToDate.Valid(),
		"Connecting": drbd.ConnConnecting.Valid(), "PausedSyncT": drbd.ReplPausedSyncT.Valid(),
	} {
		if !valid {
			t.Errorf("%s is not valid", word)
		}
	}
	if drbd.Role("primary").Valid() || drbd.DiskState("").Valid() || drbd.ConnectionState("WFConnection").Valid() || drbd.ReplicationState("on").Valid() {
		t.Error("a word of nobody is valid")
	}
}

func TestSuspended(t *testing.T) {
	tests := []struct {
		set         drbd.Suspended
		none, fence bool
	}{
		{"", true, false},
		{"no", true, false},
		{"fencing", false, true},
		{"user,fencing", false, true},
		{"no-data,quorum", false, false},
		{"fencing-ish", false, false},
	}
	for _, tt := range tests {
		if tt.set.None() != tt.none || tt.set.Has(drbd.SuspendedFencing) != tt.fence {
			t.Errorf("%q: none %v, fencing %v; want %v, %v", tt.set, tt.set.None(), tt.set.Has(drbd.SuspendedFencing), tt.none, tt.fence)
		}
	}
	if drbd.Suspended("no").Has("no") {
		t.Error("the word for the empty set counts as a reason")
	}
}

func TestTriText(t *testing.T) {
	for _, want := range []drbd.Tri{drbd.Yes, drbd.No, drbd.Unknown} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := drbd.Yes
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("%s came back as %v, %v", b, got, err)
		}
	}
}
