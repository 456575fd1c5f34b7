package bundle

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func entries(t testing.TB, data []byte) []entry {
	t.Helper()
	var list []entry
	if err := readExport(bytes.NewReader(data), func(e entry) { list = append(list, e) }); err != nil {
		t.Fatal(err)
	}
	return list
}

const multiLine = "MESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00two\nl\nPRIORITY=6\n\n"

// Ensure that entries are read and written as journalctl does, fields of several
// lines too, and that an entry that was cut off is not.
func TestExport(t *testing.T) {
	text := "__REALTIME_TIMESTAMP=1795465943453868\nMESSAGE=step done a=b\n\n" + multiLine
	list := entries(t, []byte(text+"MESSAGE=cut o"))
	if len(list) != 2 || list[0].get("MESSAGE") != "step done a=b" || list[1].get("MESSAGE") != "two\nl" {
		t.Fatalf("got %q", list)
	}
	var out []byte
	for _, e := range list {
		out = e.append(out)
	}
	if diff := cmp.Diff(text, string(out)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"message=x\n\n", "MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff", "MESSAGE\n\x01\x00\x00\x00\x00\x00\x00\x00ab\n"} {
		if err := readExport(bytes.NewReader([]byte(bad)), func(entry) {}); !errors.Is(err, ErrExport) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Ensure that whatever is read is written so that it reads the same.
func FuzzExport(f *testing.F) {
	f.Add([]byte(multiLine))
	f.Add([]byte("A=b\n\nC=d\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var list []entry
		if readExport(bytes.NewReader(data), func(e entry) { list = append(list, e) }) != nil {
			return
		}
		var out []byte
		for _, e := range list {
			out = e.append(out)
		}
		if diff := cmp.Diff(list, entries(t, out), cmp.AllowUnexported(field{})); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}

// Ensure that the newest entries stay when there is no room for all.
func TestRecent(t *testing.T) {
	r := recent{limit: 40}
	for i := range 10 {
		r.add(entry{{name: "MESSAGE", value: []byte{byte('0' + i)}}})
	}
	if len(r.entries) != 3 || r.entries[2].get("MESSAGE") != "9" || r.cut != 7*11 {
		t.Errorf("kept %q, cut %d", r.entries, r.cut)
	}
}

// record is one entry of a journal.
func record(us int64, id, pid, message string, more ...string) string {
	s := fmt.Sprintf("__REALTIME_TIMESTAMP=%d\nSYSLOG_IDENTIFIER=%s\n_PID=%s\nMESSAGE=%s\n", us, id, pid, message)
	for _, m := range more {
		s += m + "\n"
	}
	return s + "\n"
}

// failover is what the journals of a node say that took over.
func failover() []*File {
	const at = 1795465940000000
	ours := record(at+3000000, "drbdnfs", "10", "step done", "ACTION=promote", "STEP=block", "DUR=104ms") +
		record(at+4200000, "drbdnfs", "10", "step failed", "ACTION=promote", "STEP=mount", "DUR=1.1s", "ERR=mount /home/nfs: input/output error") +
		record(at+1000000, "drbdnfsd", "11", "connection changed resource=res0 peer=drbdtest1 old=Connected new=NetworkFailure")
	cluster := record(at+2000000, "corosync", "12", "  [TOTEM ] A new membership (1.9) was formed. Members left: 1") +
		record(at+2100000, "pacemaker-controld", "13", "notice: Result of promote operation for nfs on drbdtest2: error") +
		record(at+2200000, "pacemaker-attrd", "13", "notice: Setting drbdnfs-evidence-res0: v1:error") +
		record(at+2300000, "pacemaker-controld", "13", "notice: Result of monitor operation for nfs on drbdtest2: promoted") +
		record(at+2400000, "systemd", "1", "Started NFS \x1b[2J daemons.") + record(at+2500000, "sshd", "1", "error: nobody asked")
	kernel := record(at, "kernel", "", "drbd res0: conn( Connected -> NetworkFailure )", "_TRANSPORT=kernel") +
		record(at, "kernel", "", "audit: nothing", "_TRANSPORT=kernel")
	var files []*File
	for _, text := range []string{ours, cluster, kernel} {
		f := &File{}
		_ = readExport(bytes.NewReader([]byte(text)), func(e entry) { f.entries = append(f.entries, e) })
		files = append(files, f)
	}
	return files
}

// Ensure that the timeline has what happened in one clock, durations and failures,
// and not what only fills journals.
func TestTimeline(t *testing.T) {
	got := timeline(failover())
	file := filepath.Join("testdata", "timeline.txt")
	if *update {
		if err := os.WriteFile(file, got.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got.data)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
