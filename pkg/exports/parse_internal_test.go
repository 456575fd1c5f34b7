package exports

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Ensure that the kernel's word on a client is read, with the keys of old and of
// new kernels, and that quotes and escapes are taken off.
func TestParseInfo(t *testing.T) {
	for _, tt := range []struct {
		name string
		want info
	}{
		{"info-6.1-nfsv42.txt", info{address: "192.168.2.64:992", name: "Linux NFSv4.2 client", minor: "2", status: "confirmed", renewed: 12}},
		{"info-5.4-nfsv40.txt", info{address: "[fd00:2::64]:841", name: `Linux NFSv4.0 cli ent\fd00:2::64`, minor: "0", renewed: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseInfo(read(t, tt.name))
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	if _, err := parseInfo([]byte("clientid: 0x1\n")); err == nil {
		t.Error("a client without an address was taken")
	}
}

var heldWant = []held{
	{kind: "open", access: "rw", deny: "--", file: "home/a, b.txt", inode: "93:3e8:131"},
	{kind: "lock", file: "home/a, b.txt", inode: "93:3e8:131"},
	{kind: "deleg", access: "r", file: "user-data/c", inode: "93:3e8:140"},
	{kind: "layout", inode: "93:3e8:140"},
}

// Ensure that what clients hold is read, names with commas and braces too, and
// that what lacks a file is.
func TestParseStates(t *testing.T) {
	for _, tt := range []struct {
		name string
		want []held
	}{
		{"states-6.1.txt", heldWant},
		{"states-6.12-revoked.txt", []held{{kind: "deleg", access: "w"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStates(read(t, tt.name))
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(held{})); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for _, bad := range []string{"- 0x12\n", "- 0x12: { access: r }\n"} {
		if _, err := parseStates([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Ensure that mountd's list is read with IPv6 addresses and escaped paths, and
// that what has gone to zero is not.
func TestParseRmtab(t *testing.T) {
	got := parseRmtab([]byte("192.168.2.64:/home/nfs/user-data:0x00000001\nfd00:2::64:/home/a\\040b:0x00000002\nold:/home/nfs:0x00000000\nnonsense\n\n"))
	want := []mounted{{"192.168.2.64", "/home/nfs/user-data"}, {"fd00:2::64", "/home/a b"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mounted{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that POSIX locks are read and what waits, and other kinds, are not.
func TestParseLocks(t *testing.T) {
	got := parseLocks([]byte("1: POSIX  ADVISORY  WRITE 1186 93:3e8:620 0 EOF\n1: -> POSIX  ADVISORY  WRITE 1187 93:3e8:620 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 173 00:18:293 0 EOF\n3: POSIX  ADVISORY  READ x 93:3e8:1 0 1\n4: POSIX  ADVISORY  READ 7 93:1 0 1\n5: POSIX  ADVISORY  READ 7 xx:yy:1 0 1\n"))
	want := []locked{{pid: 1186, access: "WRITE", major: 0x93, minor: 0x3e8, inode: "620", start: "0", end: "EOF"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(locked{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that both tables are read, without the kernel's own pseudo exports.
func TestParseTable(t *testing.T) {
	for _, name := range []string{"exports-6.1.txt", "etab-2.6.2.txt"} {
		got := parseTable(read(t, name))
		if len(got) != 1 || got[0].path != "/home/nfs/user-data" || got[0].client != "192.168.2.0/24" || got[0].options[0] != "rw" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Ensure that no text of the kernel, whatever clients have put into it, breaks a
// parser or gets a control character through.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"info-6.1-nfsv42.txt", "info-5.4-nfsv40.txt", "states-6.1.txt", "states-6.12-revoked.txt", "exports-6.1.txt", "etab-2.6.2.txt"} {
		f.Add(read(f, name))
	}
	f.Add([]byte("- 0x1: { type: open, filename: \"\x1b[2J"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var texts []string
		in, _ := parseInfo(data)
		texts = append(texts, in.address, in.name, in.minor, in.status)
		list, _ := parseStates(data)
		for _, h := range list {
			texts = append(texts, h.kind, h.access, h.deny, h.file, h.inode)
		}
		for _, m := range parseRmtab(data) {
			texts = append(texts, m.client, m.path)
		}
		for _, o := range parseTable(data) {
			texts = append(append(texts, o.path, o.client), o.options...)
		}
		for _, l := range parseLocks(data) {
			texts = append(texts, l.access, l.inode, l.start, l.end)
		}
		for _, s := range texts {
			if plain(s) != s {
				t.Errorf("%q is not fit for a terminal", s)
			}
		}
	})
}
