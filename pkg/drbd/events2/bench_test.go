package events2_test

import (
	"bufio"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

const busyLine = "2026-11-23T05:42:52.942916+00:00 change peer-device name:res0 peer-node-id:0 conn-name:drbdtest1 volume:0 " +
	"replication:SyncTarget peer-disk:UpToDate peer-client:no resync-suspended:no done:3.92 received:34388 sent:0 out-of-sync:590280 pending:1 unacked:0 dbdt1:7.83 eta:74"

// many is what events2 prints in the course of a resync of many resources: n
// progress lines with --full and --timestamps.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "2026-11-23T05:42:%02d.%06d+00:00 change peer-device name:res%d peer-node-id:0 conn-name:drbdtest1 volume:0 "+
			"replication:SyncTarget peer-disk:UpToDate peer-client:no resync-suspended:no "+
			"done:%d.%02d received:%d sent:0 out-of-sync:%d pending:1 unacked:0 dbdt1:7.83 eta:%d\n",
			i/1000%60, i*997%1000000, i%100, i%100, i%97, 34388+i, 590280-i%590280, i%1000)
	}
	return b.String()
}

// changing is the worst case: in each line something is different.
func changing(n int) string {
	return strings.Repeat(busyLine+"\n"+strings.Replace(busyLine, "SyncTarget", "PausedSyncT", 1)+"\n", n/2)
}

// readApply is what the daemon does with the output of events2.
func readApply(tb testing.TB, st *drbd.State, text string) {
	for ev, err := range events2.Read(strings.NewReader(text)) {
		if err != nil {
			tb.Fatal(err)
		}
		st.Apply(ev)
	}
}

// cpuTime is what this process has used of all cores, garbage collector
// included, so that a rate does not depend on what else runs on the machine.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rate runs f, which handles lines lines at a time, for the benchmark, and
// reports lines per second of one core.
func rate(b *testing.B, lines int, f func()) {
	b.ReportAllocs()
	f()
	before, rounds := cpuTime(b), 0
	for b.Loop() {
		f()
		rounds++
	}
	b.ReportMetric(float64(rounds)*float64(lines)/(cpuTime(b)-before).Seconds(), "lines/cpu-s")
	b.ReportMetric(0, "ns/op") // of the whole text, on a machine that may be busy
}

// BenchmarkReadApply compares what the daemon does with what one would write
// first: fields and a map for each line, looked at in a state of maps.
//
//	go test -bench ReadApply -benchmem -cpu 1 ./pkg/drbd/events2
func BenchmarkReadApply(b *testing.B) {
	const n = 10000
	for _, in := range []struct{ name, text string }{{"progress", many(n)}, {"changes", changing(n)}} {
		b.Run(in.name+"/events2", func(b *testing.B) {
			st := drbd.NewState()
			rate(b, n, func() { readApply(b, st, in.text) })
		})
		b.Run(in.name+"/naive", func(b *testing.B) {
			st := naive{}
			rate(b, n, func() { st.readApply(b, in.text) })
		})
	}
}

func BenchmarkParse(b *testing.B) {
	rate(b, 1, func() {
		if _, err := events2.Parse(busyLine); err != nil {
			b.Fatal(err)
		}
	})
}

// naive is the state that the obvious parser fills: the keys of each object by
// name, numbers read.
type naive map[string]map[string]any

func (n naive) readApply(tb testing.TB, text string) {
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		words := strings.Fields(sc.Text())
		at, err := time.Parse(time.RFC3339Nano, words[0])
		if err != nil {
			tb.Fatal(err)
		}
		keys := map[string]string{}
		for _, w := range words[3:] {
			kv := strings.SplitN(w, ":", 2)
			keys[kv[0]] = kv[1]
		}
		id := words[2] + "/" + keys["name"] + "/" + keys["conn-name"] + "/" + keys["volume"]
		object := n[id]
		if object == nil {
			object = map[string]any{}
			n[id] = object
		}
		object["at"] = at
		for k, v := range keys {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				object[k] = f
			} else {
				object[k] = v
			}
		}
	}
}

// Ensure that a line costs at most two allocations from the pipe to the state,
// whether it changes something or not.
func TestAllocationsPerLine(t *testing.T) {
	const n = 10000
	for _, tt := range []struct {
		name, text string
		most       float64
	}{
		{"progress", many(n), 0.5},
		{"changes", changing(n), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := drbd.NewState()
			per := testing.AllocsPerRun(5, func() { readApply(t, st, tt.text) }) / n
			if per > tt.most {
				t.Errorf("%.2f allocations a line, want at most %v", per, tt.most)
			}
		})
	}
}

// dumpOf is the dump of n resources with two peers each, with --full.
func dumpOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "exists resource name:pvc-%08d-resource role:Secondary suspended:no force-io-failures:no write-ordering:flush may_promote:no promotion_score:10102\n", i)
		for p := 1; p <= 2; p++ {
			fmt.Fprintf(&b, "exists connection name:pvc-%08d-resource peer-node-id:%d conn-name:storage-node-%d connection:Connected role:Secondary "+
				"congested:no ap-in-flight:0 rs-in-flight:0\n", i, p, p)
		}
		fmt.Fprintf(&b, "exists device name:pvc-%08d-resource volume:0 minor:%d backing_dev:/dev/drbdpool/pvc-%08d-resource_00000 disk:UpToDate client:no open:no quorum:yes "+
			"size:10485760 read:%d written:%d al-writes:3 bm-writes:10 upper-pending:0 lower-pending:0 al-suspended:no blocked:no\n", i, 1000+i, i, i*17, i*31)
		for p := 1; p <= 2; p++ {
			id := fmt.Sprintf("name:pvc-%08d-resource peer-node-id:%d conn-name:storage-node-%d", i, p, p)
			fmt.Fprintf(&b, "exists peer-device %s volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no "+
				"received:%d sent:0 out-of-sync:0 pending:0 unacked:0\n", id, i*7)
			fmt.Fprintf(&b, "exists path %s local:ipv4:192.168.2.61:%d peer:ipv4:192.168.2.6%d:%d established:yes\n", id, 7000+i, p+1, 7000+i)
		}
	}
	b.WriteString("exists -\n")
	return b.String()
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Ensure that the state of 500 resources with two peers each, and a clone of it
// for those who look, leave enough of 30 MB for the rest of the daemon: that
// nothing of the lines is kept.
func TestMemoryOf500Resources(t *testing.T) {
	text := dumpOf(500)
	before := heap()
	st, err := events2.ReadDump(strings.NewReader(text))
	if err != nil || len(st.Resources) != 500 {
		t.Fatal(err)
	}
	for range 3 { // the same again, as a stream does
		readApply(t, st, text)
	}
	clone := st.Clone()
	got := int64(heap()) - int64(before)
	if limit := int64(4 << 20); got > limit {
		t.Errorf("%d KiB in use, want at most %d", got>>10, limit>>10)
	}
	runtime.KeepAlive(st)
	runtime.KeepAlive(clone)
}
