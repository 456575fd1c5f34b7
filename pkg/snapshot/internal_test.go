package snapshot

import (
	"strings"
	"testing"
	"time"
)

// Ensure that names keep within the device mapper's limit, where hyphens count
// twice, and that the time is never cut.
func TestSnapshotName(t *testing.T) {
	when := time.Date(2026, 11, 23, 15, 7, 45, 0, time.FixedZone("CET", 3600))
	const suffix = "_sb_20261123T140745"
	for _, tt := range []struct{ name, group, lv, want string }{
		{"short", "drbdpool", "res0_00000", "res0_00000" + suffix},
		{"at the limit", "vg", strings.Repeat("a", 101), strings.Repeat("a", 101) + suffix},
		{"cut", "vg", strings.Repeat("a", 127), strings.Repeat("a", 101) + suffix},
		{"hyphens", "v-g", strings.Repeat("-a", 60), strings.Repeat("-a", 33) + suffix},
		{"long group", strings.Repeat("v", 120), "abc", "a" + suffix},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := snapshotName(tt.group, tt.lv, when); got != tt.want {
				t.Errorf("%q (%d), want %q", got, len(got), tt.want)
			}
		})
	}
}

// Ensure that the room for a whole volume holds its chunks, their table and the
// header, in whole extents.
func TestCow(t *testing.T) {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	for _, tt := range []struct {
		name                   string
		n, chunk, extent, want Bytes
	}{
		{"nothing", 0, 4 * kib, 4 * kib, 8 * kib},
		{"one byte", 1, 4 * kib, 4 * kib, 12 * kib},
		{"1 GiB", gib, 16 * kib, 16 * kib, (1 + 65536 + 65) * 16 * kib},
		{"full table has a terminator", 256 * 4 * kib, 4 * kib, 4 * kib, (1 + 256 + 2) * 4 * kib},
		{"whole extents", gib, 16 * kib, 4 * mib, gib + 4*mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := cow(tt.n, tt.chunk, tt.extent); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// Ensure that sizes are readable.
func TestBytes(t *testing.T) {
	for b, want := range map[Bytes]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 8 << 20: "8.0 MiB", 6 << 40: "6.0 TiB", 3 << 60: "3072.0 PiB"} {
		if got := b.String(); got != want {
			t.Errorf("%d: %q, want %q", int64(b), got, want)
		}
	}
}

// Ensure that whatever lvs prints is read or refused, and that what was read is
// never seen as more than it is.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"report":[{"lv":[{"vg_name":"a","lv_name":"b","lv_size":"4096","lv_role":"public,snapshot,thicksnapshot",` +
		`"lv_tags":"drbdnfs,drbdnfs.incident=i,drbdnfs.resource=r,drbdnfs.volume=0","lv_active_locally":"1","lv_snapshot_invalid":"0","data_percent":"1.25"}]}]}`))
	f.Add([]byte(`{"report":[{"lv":[{"lv_size":4096,"lv_active_locally":1}]},{"vg":[]}],"log":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(data)
		if err != nil {
			return
		}
		for _, s := range all.snapshots() {
			v, err := all.find(s.Name)
			if err != nil {
				continue // two of one name
			}
			if s.State == Valid && (v.Active != yes || v.Health != "") {
				t.Errorf("valid: %+v", v)
			}
		}
	})
}
