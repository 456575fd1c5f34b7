package nfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

// etab262 is what exportfs of nfs-utils 2.6.2 (Debian 12) wrote.
func etab262(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "nfs-utils-2.6.2.etab"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// etab233 is the form of nfs-utils 2.3.3 (EL8), which repeats "secure" in the
// options of the security flavour.
const etab233 = "/home/nfs/user-data\t192.168.2.0/24(rw,sync,wdelay,hide,nocrossmnt,secure,no_root_squash,no_all_squash,no_subtree_check," +
	"secure_locks,acl,no_pnfs,fsid=f2adfaf0-2dda-5631-9754-761052be05c9,anonuid=65534,anongid=65534,sec=sys,rw,secure,no_root_squash,no_all_squash)\n" +
	"/home/nfs/a\\040b\t*(ro,sync,wdelay,hide,nocrossmnt,secure,root_squash,no_all_squash,no_subtree_check,secure_locks,acl,no_pnfs," +
	"fsid=1,anonuid=65534,anongid=65534,sec=sys,ro,secure,root_squash,no_all_squash)\n"

var missingTests = []struct {
	name, etab string // "" is the recording of 2.6.2
	want       string // in the syntax of the exports parameter
	missing    []string
}{
	{"a network", "", "/home/nfs/user-data 192.168.2.0/24(rw)", nil},
	{"an address", "", "/home/nfs/user-data 192.168.3.7(rw)", nil},
	{"another network", "", "/home/nfs/user-data 192.168.2.0/25(rw)", []string{"/home/nfs/user-data 192.168.2.0/25"}},
	{"IPv6", "", "/home/nfs/user-data [2001:db8::]/48(rw) 2001:db8::7(ro)", nil},
	{"another IPv6 address", "", "/home/nfs/user-data 2001:db8::8(rw)", []string{"/home/nfs/user-data 2001:db8::8/128"}},
	{"a netgroup", "", "/home/nfs/user-data @hosts(rw) @others(rw)", []string{"/home/nfs/user-data @others"}},
	{"a wildcard", "", "/home/nfs/user-data *.example.org *.example.com", []string{"/home/nfs/user-data *.example.com"}},
	{"everybody", "", "/home/nfs/user-data *", []string{"/home/nfs/user-data *"}},
	{"a name needs its directory alone", "", "/home/nfs/user-data www.example.org", nil},
	{"a name on another directory", "", "/home/nfs/none www.example.org", []string{"/home/nfs/none www.example.org"}},
	{"a space", "", `"/home/nfs/a b" 192.168.2.0/24(ro)`, nil},
	{"a backslash", "", `/home/nfs/c\d *(ro)`, nil},
	{"a hash sign", "", "/home/nfs/x#y *(ro)", nil},
	{"another alphabet", "", "/home/nfs/日本 *(ro)", nil},
	{"2.3.3", etab233, `/home/nfs/user-data 192.168.2.0/24(rw);"/home/nfs/a b" *(ro);/home/nfs *`, []string{"/home/nfs *"}},
	{"empty lines and lines of something else", "\n#\n/a\n\n", "/a *", []string{"/a *"}},
	{"no line end", "/a\t*(ro)", "/a *", nil},
	{"an empty table", "\n", "/a *;/b 192.0.2.0/24", []string{"/a *", "/b 192.0.2.0/24"}},
}

func TestMissing(t *testing.T) {
	for _, tt := range missingTests {
		t.Run(tt.name, func(t *testing.T) {
			etab := tt.etab
			if etab == "" {
				etab = etab262(t)
			}
			want, err := ParseExports(tt.want, "res0")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range Missing(want, etab) {
				got = append(got, e.Path+" "+e.Client)
			}
			if diff := cmp.Diff(tt.missing, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	tests := []struct{ in, want string }{
		{"/plain", "/plain"},
		{`/a\040b`, "/a b"},
		{`/a\134040`, `/a\040`},
		{`\040`, " "},
		{`/end\040`, "/end "},
		{`/\011\012\042`, "/\t\n\""},
		{`/short\04`, `/short\04`},
		{`/no\x`, `/no\x`},
		{`/lone\`, `/lone\`},
	}
	for _, tt := range tests {
		if got := Unescape(tt.in); got != tt.want {
			t.Errorf("Unescape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzMissing: a table that holds an entry as exportfs would write it never
// misses it, and other lines in it do no harm.
func FuzzMissing(f *testing.F) {
	f.Add(etab262(f), "/a b")
	f.Add(etab233, "/home/nfs/user-data")
	f.Add("\\\t\n\\0", `/\040`)
	f.Fuzz(func(t *testing.T, etab, path string) {
		e := Export{Path: "/" + path, Client: "192.0.2.0/24"}
		line := escaped(e.Path) + "\t" + e.Client + "(rw)\n"
		if m := Missing([]Export{e}, etab+"\n"+line); len(m) != 0 {
			t.Errorf("%q is missing in %q", e.Path, line)
		}
		if got := Unescape(escaped(path)); got != path {
			t.Errorf("%q comes back as %q", path, got)
		}
	})
}

// escaped writes s as etab does: what separates fields, and bytes that are not
// printed, in octal.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '\\' || c == '#' || c == '"' || c >= 0x7f {
			b.WriteString(`\` + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

var exportArgsTests = []struct {
	name, exports string
	want          []string
}{
	{
		"one run for clients with the same options", "/a 192.0.2.0/24(rw,fsid=1) 2001:db8::/32(rw,fsid=1) @hosts(rw,fsid=1)",
		[]string{"-i -o rw,fsid=1 -- 192.0.2.0/24:/a [2001:db8::]/32:/a @hosts:/a"},
	},
	{
		"one for each set of options, in the order of their first appearance",
		"/a 192.0.2.1(rw,fsid=1) 192.0.2.2(ro,fsid=1) 192.0.2.3(rw,fsid=1)",
		[]string{"-i -o rw,fsid=1 -- 192.0.2.1/32:/a 192.0.2.3/32:/a", "-i -o ro,fsid=1 -- 192.0.2.2/32:/a"},
	},
	{
		"two directories have two fsids", "/a *(rw);/b *(rw)",
		[]string{
			"-i -o rw,fsid=" + FSID("res0", "/a") + " -- *:/a",
			"-i -o rw,fsid=" + FSID("res0", "/b") + " -- *:/b",
		},
	},
	{"a path with a space is one argument", `"/a b" *(fsid=1)`, []string{"-i -o fsid=1 -- *:/a b"}},
}

func TestExportArgs(t *testing.T) {
	for _, tt := range exportArgsTests {
		t.Run(tt.name, func(t *testing.T) {
			exports, err := ParseExports(tt.exports, "res0")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, args := range exportArgs(exports) {
				got = append(got, strings.Join(args, " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := exportArgs(nil); got != nil {
		t.Errorf("of nothing: %q", got)
	}
}

// exporter is a machine with a volume and an exportfs.
type exporter struct {
	*host.Host
	root  string
	etab  string // what exportfs wrote before
	calls []string
	fails string // the argument with which exportfs fails
}

func (x *exporter) ReadFile(path string) ([]byte, error) {
	if path != EtabPath || x.etab == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(x.etab), nil
}

func (x *exporter) Stat(path string) (fs.FileInfo, error) { return os.Stat(x.root + path) }

func (x *exporter) Run(_ context.Context, c host.Cmd) (host.Result, error) {
	line := strings.Join(append([]string{c.Op, c.Name}, c.Args...), " ")
	x.calls = append(x.calls, line)
	if x.fails != "" && strings.Contains(line, x.fails) {
		return host.Result{}, &host.ExitError{Op: c.Op, Argv: append([]string{c.Name}, c.Args...), Code: 1}
	}
	return host.Result{}, nil
}

func newExporter(t *testing.T, dirs ...string) *exporter {
	t.Helper()
	x := &exporter{Host: host.New(nil), root: t.TempDir()}
	for _, d := range dirs {
		if err := os.MkdirAll(x.root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func exportsOf(t *testing.T, s string) []Export {
	t.Helper()
	if s == "" {
		return nil
	}
	exports, err := ParseExports(s, "res0")
	if err != nil {
		t.Fatal(err)
	}
	return exports
}

// Ensure that new exports come before old ones go, and that an entry whose
// options change is never withdrawn.
func TestApplyExports(t *testing.T) {
	x := newExporter(t, "/a", "/b")
	x.etab = "/a\t192.0.2.1/32(ro)\n/a\t2001:db8::1/128(ro)\n/c\t*(ro)\n"
	want := exportsOf(t, "/a 192.0.2.1(rw,fsid=1) 192.0.2.2(rw,fsid=1);/b *(ro,fsid=2)")
	drop := exportsOf(t, "/a 192.0.2.1(ro,fsid=1) 2001:db8::1(ro,fsid=1);/c *(ro,fsid=3)")
	if err := ApplyExports(t.Context(), x, want, drop); err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff([]string{
		"nfs.export exportfs -i -o rw,fsid=1 -- 192.0.2.1/32:/a 192.0.2.2/32:/a",
		"nfs.export exportfs -i -o ro,fsid=2 -- *:/b",
		"nfs.unexport exportfs -u -- [2001:db8::1]/128:/a",
		"nfs.unexport exportfs -u -- *:/c",
	}, x.calls)
	if diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Ensure that what is gone already is not withdrawn once more, which exportfs
// would call an error.
func TestApplyExportsAgain(t *testing.T) {
	x := newExporter(t, "/a")
	drop := exportsOf(t, "/a 192.0.2.9(fsid=1);/b *(fsid=2)")
	want := exportsOf(t, "/a *(fsid=1)")
	checkText(t, ApplyExports(t.Context(), x, want, drop), "read export table")
	x.calls, x.etab = nil, "/a\t*(ro)\n/b\t192.0.2.0/24(ro)\n"
	if err := ApplyExports(t.Context(), x, want, drop); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"nfs.export exportfs -i -o fsid=1 -- *:/a"}, x.calls); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Ensure that nothing is offered while a directory is not on the volume.
func TestApplyExportsMissingDirectory(t *testing.T) {
	x := newExporter(t, "/a")
	if err := os.WriteFile(x.root+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/b", "/file"} {
		err := ApplyExports(t.Context(), x, exportsOf(t, "/a *(fsid=1);"+dir+" *(fsid=2)"), nil)
		checkText(t, err, "make the directory "+dir, "take it out of exports")
	}
	if len(x.calls) != 0 {
		t.Errorf("commands %q", x.calls)
	}
}

// Ensure that a refusal of exportfs ends the step, and that nothing is
// withdrawn then.
func TestApplyExportsRefused(t *testing.T) {
	x := newExporter(t, "/a", "/b")
	x.fails = "*:/a"
	err := ApplyExports(t.Context(), x, exportsOf(t, "/a *(fsid=1);/b *(fsid=2)"), exportsOf(t, "/c *(fsid=3)"))
	var ee *host.ExitError
	if !errors.As(err, &ee) || ee.Code != 1 {
		t.Errorf("error = %v, want exportfs's", err)
	}
	if len(x.calls) != 1 {
		t.Errorf("commands %q", x.calls)
	}
}

func TestExportEqual(t *testing.T) {
	a := exportsOf(t, "/a *(ro,fsid=1)")[0]
	if !a.Equal(exportsOf(t, "/a/ *(ro,fsid=1)")[0]) {
		t.Error("the same export is not equal")
	}
	for _, s := range []string{"/b *(ro,fsid=1)", "/a 192.0.2.1(ro,fsid=1)", "/a *(rw,fsid=1)"} {
		if a.Equal(exportsOf(t, s)[0]) {
			t.Errorf("%s is equal", s)
		}
	}
}
