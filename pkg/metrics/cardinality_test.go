package metrics_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/metrics"
)

// manyResources is a node with n resources of one volume, each with some peers.
func manyResources(t testing.TB, n, peers int) *drbd.State {
	t.Helper()
	var lines []string
	for i := range n {
		name := fmt.Sprintf("pvc-%04d", i)
		lines = append(lines,
			"exists resource name:"+name+" role:Secondary suspended:no force-io-failures:no write-ordering:flush may_promote:yes promotion_score:10101",
			fmt.Sprintf("exists device name:%s volume:0 minor:%d backing_dev:/dev/pool/%s disk:UpToDate client:no open:no quorum:yes "+
				"size:1048576 read:1 written:2 al-writes:3 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no blocked:no", name, 1000+i, name))
		for p := 1; p <= peers; p++ {
			id := fmt.Sprintf("name:%s peer-node-id:%d conn-name:node%d", name, p, p)
			lines = append(lines,
				"exists connection "+id+" connection:Connected role:Secondary congested:no ap-in-flight:0 rs-in-flight:0",
				"exists peer-device "+id+" volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no "+
					"received:1 sent:2 out-of-sync:0 pending:0 unacked:0",
				fmt.Sprintf("exists path %s local:ipv4:10.0.0.9:%d peer:ipv4:10.0.0.%d:%d established:yes", id, 7000+i, p, 7000+i))
		}
	}
	return parse(t, lines...)
}

// Ensure that the number of series is what docs/metrics.md says.
func TestCardinality(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	count := func(scope metrics.Scope, n, peers int) int {
		w := newWorld(t, scope)
		w.snap = &metrics.Snapshot{DRBD: manyResources(t, n, peers)}
		return len(series(t, w))
	}
	for _, tt := range []struct {
		name  string
		scope metrics.Scope
		said  string // both numbers of the documentation
		want  [2]int // one peer, two peers
	}{
		{"with states", metrics.Scope{All: true, States: true}, "94 series with one peer and 147 series with two", [2]int{94, 147}},
		{"without states", metrics.Scope{All: true}, "without states 36 and 44 series", [2]int{36, 44}},
		{"not managed", metrics.Scope{Managed: []string{"res0"}, States: true}, "", [2]int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, want := range tt.want {
				if got := count(tt.scope, 2, i+1) - count(tt.scope, 1, i+1); got != want {
					t.Errorf("%d series for one more resource with %d peers, want %d", got, i+1, want)
				}
			}
			if !strings.Contains(string(text), tt.said) {
				t.Errorf("%s does not say %q", reference, tt.said)
			}
		})
	}
}

// BenchmarkScrape500 is a node of a LINSTOR cluster that shows everything.
func BenchmarkScrape500(b *testing.B) {
	for _, bb := range []struct {
		name  string
		scope metrics.Scope
	}{
		{"all with states", metrics.Scope{All: true, States: true}},
		{"all without states", metrics.Scope{All: true}},
		{"managed", metrics.Scope{Managed: []string{"pvc-0001"}, States: true}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := newWorld(b, bb.scope)
			w.snap = &metrics.Snapshot{DRBD: manyResources(b, 500, 2), StreamUp: true}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = len(scrapeAll(b, w))
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}
