package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/snapshot"
)

// kept are snapshots in memory.
type kept struct {
	list    []snapshot.Snapshot
	err     error
	refused string // name that Remove refuses
}

func (k *kept) List(context.Context, string) ([]snapshot.Snapshot, error) {
	return slices.Clone(k.list), k.err
}

func (k *kept) Remove(_ context.Context, name string) error {
	if name == k.refused {
		return errors.New("remove snapshot " + name + ": it is mounted on /mnt: umount it first")
	}
	k.list = slices.DeleteFunc(k.list, func(s snapshot.Snapshot) bool { return s.Name == name })
	return nil
}

// newKept has a thick snapshot, a thin one, and one of which LVM cannot tell.
func newKept() *kept {
	at := time.Date(2026, 11, 23, 14, 7, 45, 0, time.UTC)
	return &kept{list: []snapshot.Snapshot{
		{Name: "drbdpool/a", Device: "/dev/drbdpool/a", Origin: "drbdpool/res0", Resource: "res0", Incident: "5d41", Made: at, Size: 8 << 30, UsedPercent: 12.34, State: snapshot.Valid, Open: true},
		{Name: "drbdpool/b", Device: "/dev/drbdpool/b", Pool: "drbdpool/thin", Resource: "res1", Volume: 2, Made: at, Size: 6 << 40, UsedPercent: 40.5, State: snapshot.Valid},
		{Name: "drbdpool/c", Device: "/dev/drbdpool/c", Resource: "res0", Size: 1 << 20, UsedPercent: -1, State: snapshot.Unfinished},
	}}
}

const keptTable = `NAME        RESOURCE  MADE                     SIZE     USED                     STATE
drbdpool/a  res0/0    2026-11-23 14:07:45 UTC  8.0 GiB  12.3 %                   valid, in use
drbdpool/b  res1/2    2026-11-23 14:07:45 UTC  6.0 TiB  40.5 % of drbdpool/thin  valid
drbdpool/c  res0/0    -                        1.0 MiB  -                        unfinished
`

// Ensure that snapshots are shown to people and to programs.
func TestListSnapshots(t *testing.T) {
	for _, tt := range []struct {
		name string
		k    *kept
		json bool
		want string
	}{
		{"table", newKept(), false, keptTable},
		{"none", &kept{}, false, "this node keeps no snapshots of discarded data\n"},
		{"no JSON", &kept{}, true, ""},
		{
			"JSON", &kept{list: newKept().list[:1]}, true,
			`{"name":"drbdpool/a","device":"/dev/drbdpool/a","origin":"drbdpool/res0","pool":"","resource":"res0","volume":0,"incident":"5d41",` +
				`"made":"2026-11-23T14:07:45Z","size_bytes":8589934592,"used_percent":12.34,"state":"valid","open":true}` + "\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := listSnapshots(t.Context(), console{out: &out}, tt.k, tt.json); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
	if err := listSnapshots(t.Context(), console{}, &kept{err: errors.New("boom")}, false); err == nil {
		t.Error("an error of LVM is not told")
	}
}

// Ensure that all names are known before anything is removed, and that a name
// given twice is removed once.
func TestChooseSnapshots(t *testing.T) {
	k := newKept()
	got, err := choose(t.Context(), k, []string{"b", "/dev/drbdpool/a", "drbdpool/b"})
	if err != nil || len(got) != 2 || got[0].Name != "drbdpool/b" || got[1].Name != "drbdpool/a" {
		t.Errorf("%+v, %v; want b and a", got, err)
	}
	if _, err := choose(t.Context(), k, []string{"a", "res0"}); err == nil || !strings.Contains(err.Error(), "has made no snapshot res0 on this node") {
		t.Errorf("an unknown name: error %v", err)
	}
	k.err = errors.New("boom")
	if _, err := choose(t.Context(), k, []string{"a"}); !errors.Is(err, k.err) {
		t.Errorf("error %v, want LVM's", err)
	}
}

// Ensure that only a clear yes counts, and that it is seen before what is lost.
func TestConfirmed(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "\n": false, "": false, "n\n": false, "yeah\n": false} {
		var out bytes.Buffer
		if got := confirmed(console{in: strings.NewReader(answer), out: &out}, newKept().list); got != want {
			t.Errorf("%q: %v", answer, got)
		}
		if want := keptTable + "what is in them is lost for good, remove? [y/N] "; out.String() != want {
			t.Errorf("asked %q, want %q", out.String(), want)
		}
	}
}

// Ensure that each removal is told, and that the first refusal ends the work.
func TestRemoveSnapshots(t *testing.T) {
	k := newKept()
	chosen := slices.Clone(k.list)
	k.refused = "drbdpool/b"
	var out bytes.Buffer
	err := removeSnapshots(t.Context(), console{out: &out}, k, chosen)
	if err == nil || !strings.Contains(err.Error(), "mounted on /mnt") {
		t.Errorf("error %v, want the refusal", err)
	}
	if want := "drbdpool/a: removed\n"; out.String() != want || len(k.list) != 2 {
		t.Errorf("said %q and left %d, want %q and 2", out.String(), len(k.list), want)
	}
}
