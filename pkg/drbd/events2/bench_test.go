package events2_test

import (
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

const busyLine = "2026-11-23T05:42:52.942916+00:00 change peer-device name:res0 peer-node-id:0 conn-name:drbdtest1 volume:0 " +
	"replication:SyncTarget peer-disk:UpToDate peer-client:no resync-suspended:no done:3.92 received:34388 sent:0 out-of-sync:590280 pending:1 unacked:0 dbdt1:7.83 eta:74"

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(busyLine)))
	for b.Loop() {
		if _, err := events2.Parse(busyLine); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadApply is what the daemon does for each line of a resync.
func BenchmarkReadApply(b *testing.B) {
	const n = 1000
	in := strings.Repeat(busyLine+"\n", n)
	st := drbd.NewState()
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		for ev, err := range events2.Read(strings.NewReader(in)) {
			if err != nil {
				b.Fatal(err)
			}
			st.Apply(ev)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkReadApplyChanges is the worst case: every line changes the state.
func BenchmarkReadApplyChanges(b *testing.B) {
	const n = 1000
	in := strings.Repeat(busyLine+"\n"+strings.Replace(busyLine, "SyncTarget", "PausedSyncT", 1)+"\n", n/2)
	st := drbd.NewState()
	b.ReportAllocs()
	for b.Loop() {
		for ev, err := range events2.Read(strings.NewReader(in)) {
			if err != nil {
				b.Fatal(err)
			}
			st.Apply(ev)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "lines/s")
}

// Ensure that a line costs at most two allocations from the pipe to the state,
// even when it changes something.
func TestAllocationsPerLine(t *testing.T) {
	const n = 1000
	in := strings.Repeat(busyLine+"\n"+strings.Replace(busyLine, "SyncTarget", "PausedSyncT", 1)+"\n", n/2)
	st := drbd.NewState()
	allocs := testing.AllocsPerRun(5, func() {
		for ev, err := range events2.Read(strings.NewReader(in)) {
			if err != nil {
				t.Fatal(err)
			}
			st.Apply(ev)
		}
	})
	if per := allocs / n; per > 2.1 { // the rest is the buffers of the stream
		t.Errorf("%.2f allocations a line, want at most 2", per)
	}
}
