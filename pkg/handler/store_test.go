package handler_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/notice"
)

var when = time.Date(2026, 11, 23, 14, 7, 45, 123e6, time.UTC)

// event is a record's notice.
func event(at time.Time, kind, resource, peer string) notice.Notice {
	return notice.Notice{When: at, Helper: &notice.Helper{Name: kind, Resource: resource, Peer: peer, PeerNodeID: -1}}
}

func add(t *testing.T, s *handler.Store, n notice.Notice) string {
	t.Helper()
	name, err := s.Add(n)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// Ensure that records are found again in the order of the calls, are private,
// and are gone once they are removed, but for a second removal, which is nothing.
func TestStore(t *testing.T) {
	h := hosttest.New(t)
	s := handler.NewStore(h, handler.Dir)
	if records, err := s.Read(); len(records) > 0 || err != nil {
		t.Fatalf("without a directory: %v, %v", records, err)
	}
	late := add(t, s, event(when.Add(time.Second), "split-brain", "a", "n2"))
	early := add(t, s, event(when, "split-brain", "b", "n2"))
	records, err := s.Read()
	if err != nil || len(records) != 2 || records[0].Helper.Record != early || records[1].Helper.Record != late {
		t.Fatalf("%v, %v", records, err)
	}
	if want := "20261123T140745.123000000Z_b_n2_split-brain.json"; early != want {
		t.Errorf("got %s, want %s", early, want)
	}
	for path, want := range map[string]fs.FileMode{handler.Dir: 0o700, handler.Dir + "/" + early: 0o600} {
		if st, err := h.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
}

// Ensure that any name of a resource and of a peer makes one file below the
// directory, on a real file system, and that long names which differ only at
// their ends stay apart.
func TestNames(t *testing.T) {
	s := handler.NewStore(host.New(nil), t.TempDir())
	seen := map[string]bool{}
	long := strings.Repeat("/", 126)
	for _, name := range []string{
		"res0", "", ".", "..", "../../etc/passwd", "a b", "a\nb", "a\x00b", "-rf", "größe", "\xff\xfe", `"'\$(x)`, "a_b", "%41", "A",
		long + "1", long + "2",
	} {
		n := event(when, "split-brain", name, name)
		file := add(t, s, n)
		if seen[file] || strings.ContainsAny(file, "/\x00\n \"'\\$") || len(file) > 250 {
			t.Errorf("%q makes %q", name, file)
		}
		seen[file] = true
	}
}

// Ensure that the largest notice that the environment can make is not too long
// to be recorded and sent.
func TestLargest(t *testing.T) {
	bubble(t, func(t *testing.T, h *hosttest.Host) {
		quotes := strings.Repeat(`"`, 10000)
		list := strings.Repeat("1048575 ", 100)
		environ := []string{"DRBD_VOLUME=" + list, "DRBD_MINOR=" + list, "DRBD_PEER_NODE_ID=31", "DRBD_NODE_ID_31=" + quotes}
		for _, key := range []string{"RESOURCE", "CSTATE", "BACKING_DEV", "PEER_ADDRESS", "PEER_AF"} {
			environ = append(environ, "DRBD_"+key+"="+quotes)
		}
		c := call(h, environ, "initial-split-brain")
		if c.stderr != "" || len(c.told) != 1 || c.told[0].Helper.Record == "" {
			t.Fatalf("it said %q", c.stderr)
		}
		if data, err := notice.Encode(c.told[0]); err != nil {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	})
}

// Ensure that the number of records is bounded, and that a resource that flaps
// pushes out its own records and not the only one of another.
func TestPrune(t *testing.T) {
	s := handler.NewStore(hosttest.New(t), handler.Dir)
	first := add(t, s, event(when, "split-brain", "quiet", "n2"))
	for i := range handler.MaxRecords + 50 {
		add(t, s, event(when.Add(time.Duration(i+1)*time.Second), "split-brain", "flaps", "n2"))
		if i%10 == 0 {
			add(t, s, event(when.Add(time.Duration(i+1)*time.Second), "split-brain", fmt.Sprintf("r%d", i), "n3"))
		}
	}
	records, err := s.Read()
	if err != nil || len(records) != handler.MaxRecords || records[0].Helper.Record != first {
		t.Fatalf("%d records, the first is %v, %v", len(records), records[0].Helper, err)
	}
	last := records[len(records)-1].Helper
	if last.Resource != "flaps" || records[len(records)-1].When != when.Add((handler.MaxRecords+50)*time.Second) {
		t.Errorf("the newest is %v", last)
	}
	others := 0
	for _, r := range records {
		if r.Helper.Peer == "n3" {
			others++
		}
	}
	if want := (handler.MaxRecords + 50) / 10; others != want {
		t.Errorf("%d of the %d others are left", others, want)
	}
}

// Ensure that what a killed handler left goes after a while, while the one that
// is at work beside us keeps its file.
func TestPruneTemporary(t *testing.T) {
	h := hosttest.New(t)
	s := handler.NewStore(h, handler.Dir)
	add(t, s, event(when, "split-brain", "a", "n2"))
	files := map[string]bool{ // whether it stays
		"20261123T140530.000000000Z_a_n2_split-brain.json.tmp": false,
		"20261123T140744.000000000Z_a_n2_split-brain.json.tmp": true,
		"notes.tmp": true,
		"other":     true,
	}
	for name := range files {
		if err := h.WriteFileAtomic("test", handler.Dir+"/"+name, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, event(when.Add(time.Second), "split-brain", "a", "n2"))
	names, err := h.ReadDir(handler.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, stays := range files {
		if slices.Contains(names, name) != stays {
			t.Errorf("%s: stays should be %v", name, stays)
		}
	}
	if records, err := s.Read(); err != nil || len(records) != 2 {
		t.Errorf("%v, %v", records, err)
	}
}

// Ensure that a record that cannot be read is named and does not hide the
// others.
func TestReadBroken(t *testing.T) {
	h := hosttest.New(t)
	s := handler.NewStore(h, handler.Dir)
	good := add(t, s, event(when, "split-brain", "a", "n2"))
	broken := map[string]string{
		"20261123T150000.000000001Z_empty.json":   "",
		"20261123T150000.000000002Z_half.json":    `{"version":1,"hel`,
		"20261123T150000.000000003Z_later.json":   `{"version":2,"helper":{"name":"x"}}`,
		"20261123T150000.000000004Z_action.json":  `{"version":1,"action":{"group":"nfs","name":"start"}}`,
		"20261123T150000.000000005Z_too-big.json": strings.Repeat("x", notice.MaxSize+1),
	}
	for name, data := range broken {
		if err := h.WriteFileAtomic("test", handler.Dir+"/"+name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := "20261123T150000.000000006Z_dir.json"
	if err := h.MkdirAll("test", handler.Dir+"/"+dir, 0o700); err != nil {
		t.Fatal(err)
	}
	broken[dir] = ""
	h.Fail("read "+handler.Dir+"/20261123T150000.000000001Z_empty.json", syscall.EIO)
	records, err := s.Read()
	if len(records) != 1 || records[0].Helper.Record != good {
		t.Errorf("%v", records)
	}
	for name := range broken {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	h.Fail("list "+handler.Dir, syscall.EIO)
	if records, err := s.Read(); err == nil || len(records) > 0 {
		t.Errorf("%v, %v", records, err)
	}
}
