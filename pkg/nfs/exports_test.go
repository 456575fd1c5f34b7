package nfs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkText fails the test unless err is there and says each of texts.
func checkText(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

// lines renders exports one a line, in the form of exports(5).
func lines(exports []Export) []string {
	var out []string
	for _, e := range exports {
		out = append(out, e.Path+" "+e.Client+"("+strings.Join(e.Options, ",")+")")
	}
	return out
}

var parseExportsTests = []struct {
	name, in string
	want     []string
}{
	{"one", "/d *(fsid=1)", []string{"/d *(fsid=1)"}},
	{"order and spelling of options are kept", "/d *(rw,no_root_squash,sync,fsid=1)", []string{"/d *(rw,no_root_squash,sync,fsid=1)"}},
	{"several clients", "/d 192.0.2.0/24(rw,fsid=1) 10.0.0.0/8(ro,fsid=1)", []string{"/d 192.0.2.0/24(rw,fsid=1)", "/d 10.0.0.0/8(ro,fsid=1)"}},
	{"semicolons and line ends", "/a *(fsid=1);/b *(fsid=2)\n\n ; /c *(fsid=3) ;", []string{"/a *(fsid=1)", "/b *(fsid=2)", "/c *(fsid=3)"}},
	{"comments", "# all of them\n/a *(fsid=1)\n  # /b *(fsid=2)", []string{"/a *(fsid=1)"}},
	{"tabs", "/a\t*(fsid=1)\t@hosts(ro,fsid=1)", []string{"/a *(fsid=1)", "/a @hosts(ro,fsid=1)"}},
	{"quoted path", `"/a b" *(fsid=1)`, []string{"/a b *(fsid=1)"}},
	{"quoted path with a semicolon", `"/a;b" *(fsid=1);/c *(fsid=2)`, []string{"/a;b *(fsid=1)", "/c *(fsid=2)"}},
	{"a quote in a comment", "# 5\" disk\n/a *(fsid=1);/b *(fsid=2)", []string{"/a *(fsid=1)", "/b *(fsid=2)"}},
	{"quoted path without a space", `"/a" *(fsid=1)`, []string{"/a *(fsid=1)"}},
	{"path that is not clean", "/a//b/../c/ *(fsid=1)", []string{"/a/c *(fsid=1)"}},
	{"empty and spaced options", "/a *(,rw,fsid=1,)", []string{"/a *(rw,fsid=1)"}},
	{"values with colons, slashes and stars", "/a *(sec=krb5:sys,refer=/x@192.0.2.1:/y,fsid=1)", []string{"/a *(sec=krb5:sys,refer=/x@192.0.2.1:/y,fsid=1)"}},

	{"address", "/a 192.0.2.7(fsid=1)", []string{"/a 192.0.2.7/32(fsid=1)"}},
	{"netmask", "/a 192.0.2.0/255.255.255.0(fsid=1)", []string{"/a 192.0.2.0/24(fsid=1)"}},
	{"netmask of all", "/a 0.0.0.0/0.0.0.0(fsid=1)", []string{"/a 0.0.0.0/0(fsid=1)"}},
	{"netmask of one", "/a 192.0.2.7/255.255.255.255(fsid=1)", []string{"/a 192.0.2.7/32(fsid=1)"}},
	{"netmask inside a byte", "/a 192.0.2.128/255.255.255.128(fsid=1)", []string{"/a 192.0.2.128/25(fsid=1)"}},
	{"IPv6 address", "/a 2001:db8::7(fsid=1)", []string{"/a 2001:db8::7/128(fsid=1)"}},
	{"IPv6 address in brackets", "/a [2001:db8::7](fsid=1)", []string{"/a 2001:db8::7/128(fsid=1)"}},
	{"IPv6 network", "/a 2001:DB8:0::/48(fsid=1)", []string{"/a 2001:db8::/48(fsid=1)"}},
	{"IPv6 network in brackets", "/a [2001:db8::]/32(fsid=1)", []string{"/a 2001:db8::/32(fsid=1)"}},
	{"names", "/a host.example.org(fsid=1) *.example.org(fsid=1) web[0-9]?(fsid=1) @net_group(fsid=1)", []string{
		"/a host.example.org(fsid=1)", "/a *.example.org(fsid=1)", "/a web[0-9]?(fsid=1)", "/a @net_group(fsid=1)",
	}},
	{"fsid of the root", "/a *(fsid=0) ; /b *(fsid=2)", []string{"/a *(fsid=0)", "/b *(fsid=2)"}},
	{"one fsid for all clients of a directory", "/a 192.0.2.1(fsid=7);/a 192.0.2.2(fsid=7)", []string{"/a 192.0.2.1/32(fsid=7)", "/a 192.0.2.2/32(fsid=7)"}},
	{"derived fsid", "/home/nfs/user-data 192.168.2.0/24(rw,sync) *", []string{
		"/home/nfs/user-data 192.168.2.0/24(rw,sync,fsid=" + goldenFSID + ")",
		"/home/nfs/user-data *(fsid=" + goldenFSID + ")",
	}},
}

func TestParseExports(t *testing.T) {
	for _, tt := range parseExportsTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseExports(tt.in, "res0")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var badExportsTests = []struct {
	name, in string
	says     []string
}{
	{"nothing", " \n ; # only this", []string{"exports is empty", "name a directory and its clients"}},
	{"no client", "/a", []string{"/a has no client", "192.168.2.0/24(rw,sync)"}},
	{"no client after a quote", `"/a b"`, []string{"/a b has no client"}},
	{"a quote that does not end", `"/a *(rw)`, []string{`"/a *(rw)`, "quote does not end"}},
	{"relative path", "a *(rw)", []string{`"a" is not an absolute path`}},
	{"no path", "*(rw)", []string{`"*(rw)" is not an absolute path`}},
	{"empty quotes", `"" *(rw)`, []string{`"" is not an absolute path`}},
	{"space before the parenthesis", "/a 192.0.2.0/24 (rw)", []string{`"(rw)" of /a`, "no space before the parenthesis"}},
	{"space after the comma", "/a 192.0.2.0/24(rw, sync)", []string{`"192.0.2.0/24(rw,"`, "CLIENT(OPTION,…)"}},
	{"parenthesis that does not end", "/a *(rw", []string{`"*(rw" of /a`}},
	{"two of them", "/a *(rw)(ro)", []string{`"*(rw)(ro)" of /a`}},
	{"text after it", "/a *(rw)x", []string{`"*(rw)x" of /a`}},
	{"host bits", "/a 192.0.2.1/24(rw)", []string{`"192.0.2.1/24" of /a`, "use 192.0.2.0/24"}},
	{"host bits in IPv6", "/a 2001:db8::1/64(rw)", []string{"use 2001:db8::/64"}},
	{"prefix too long", "/a 192.0.2.0/33(rw)", []string{`"33" is no prefix length or netmask`}},
	{"IPv6 prefix too long", "/a 2001:db8::/129(rw)", []string{`"129" is no prefix length`}},
	{"empty prefix", "/a 192.0.2.0/(rw)", []string{`"" is no prefix length`}},
	{"netmask with holes", "/a 192.0.2.0/255.0.255.0(rw)", []string{"255.0.255.0 is no netmask"}},
	{"IPv4 netmask for IPv6", "/a 2001:db8::/255.255.0.0(rw)", []string{`"255.255.0.0" is no prefix length`}},
	{"a name with a slash", "/a host/24(rw)", []string{`"host/24" of /a`, "192.168.2.0/24"}},
	{"a name with odd characters", "/a ho$t(rw)", []string{`"ho$t" of /a`, "neither address, network, host name"}},
	{"default options of one word", "/a -ro 192.0.2.0/24", []string{`"-ro" of /a`, "put them behind each client"}},
	{"default options", "/a -ro,sync 192.0.2.0/24", []string{`"-ro,sync" of /a`}},
	{"only an at sign", "/a @(rw)", []string{`"@" of /a`}},
	{"option with a capital", "/a *(RW)", []string{"/a *", `option "RW" is malformed`}},
	{"option without a value", "/a *(anonuid=)", []string{`option "anonuid=" is malformed`}},
	{"option without a name", "/a *(=1)", []string{`option "=1" is malformed`}},
	{"option with a quote", `/a *(fsid="1")`, []string{`is malformed`}},
	{"option with a backslash", `/a *(refer=\x)`, []string{`is malformed`}},
	{"option with another alphabet", "/a *(refer=é)", []string{`is malformed`}},
	{"the same entry twice", "/a *(fsid=1)\n/a/ *(ro,fsid=1)", []string{"/a is named twice for *"}},
	{"the same network in two forms", "/a 192.0.2.0/24(fsid=1) 192.0.2.0/255.255.255.0(fsid=1)", []string{"/a is named twice for 192.0.2.0/24"}},
	{"one fsid for two directories", "/a *(fsid=5);/b *(fsid=5)", []string{"/a and /b share fsid=5", "give each its own"}},
	{"fsid of the root in two spellings", "/a *(fsid=0);/b *(fsid=root)", []string{"share fsid=0"}},
	{"a number in two spellings", "/a *(fsid=1);/b *(fsid=01)", []string{"share fsid=1"}},
	{"two fsids for one directory", "/a 192.0.2.1(fsid=5) 192.0.2.2(fsid=6)", []string{"/a has two fsids"}},
	{"given and derived fsid for one directory", "/a 192.0.2.1(fsid=5) 192.0.2.2", []string{"/a has two fsids"}},
}

// Ensure that every refusal quotes the value and says what is wrong with it.
func TestParseExportsRefuses(t *testing.T) {
	for _, tt := range badExportsTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseExports(tt.in, "res0")
			if err == nil {
				t.Fatalf("accepted as %q", lines(got))
			}
			checkText(t, err, tt.says...)
			checkText(t, err, "exports")
		})
	}
}

// goldenFSID is the fsid of /home/nfs/user-data on res0. It is in the file
// handles that clients hold: a change of it is ESTALE for all of them.
const goldenFSID = "f2adfaf0-2dda-5631-9754-761052be05c9"

// Ensure that the fsid is a function of resource and path alone, and never
// changes between releases.
func TestFSID(t *testing.T) {
	tests := []struct{ resource, path, want string }{
		{"res0", "/home/nfs/user-data", goldenFSID},
		// From another implementation of RFC 9562 (Python's uuid.uuid5).
		{"res0", "/home/nfs", "ce0200c3-16c7-5fc4-ba42-aebefecb20d2"},
		{"res1", "/home/nfs/user-data", "db81dba4-7189-59c3-949d-fb764acd9aa0"},
		{"res0", "/home/nfs/日本", "18f7112f-1378-5007-bad2-f0eb64c36824"},
	}
	for _, tt := range tests {
		if got := FSID(tt.resource, tt.path); got != tt.want {
			t.Errorf("FSID(%q, %q) = %s, want %s", tt.resource, tt.path, got, tt.want)
		}
	}
	seen := map[string]string{}
	for _, x := range []struct{ resource, path string }{{"a", "/b"}, {"a/", "b"}, {"a", "/b/"}, {"", "a/b"}, {"b", "/a"}} {
		id := FSID(x.resource, x.path)
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q share %s", x, other, id)
		}
		seen[id] = x.resource + " " + x.path
		if len(id) != 36 || id[14] != '5' || !strings.Contains("89ab", id[19:20]) {
			t.Errorf("%s is no version 5 UUID", id)
		}
	}
}

// FuzzParseExports: whatever is accepted gives arguments that exportfs cannot
// take for something else, an fsid for every entry, and is accepted again in
// its normal form with the same result.
func FuzzParseExports(f *testing.F) {
	for _, tt := range parseExportsTests {
		f.Add(tt.in)
	}
	for _, tt := range badExportsTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		exports, err := ParseExports(s, "res0")
		if err != nil {
			return
		}
		for _, e := range exports {
			if e.fsid() == "" || !strings.HasPrefix(e.Path, "/") {
				t.Errorf("%q gives %+v", s, e)
			}
			if strings.HasPrefix(e.target(), "-") || strings.Contains(e.target(), "\n") || strings.ContainsAny(e.Client, " (),") {
				t.Errorf("%q gives the target %q", s, e.target())
			}
		}
		var again strings.Builder
		for _, e := range exports {
			if strings.Contains(e.Path, `"`) {
				return // there is no quoted form of it
			}
			again.WriteString(`"` + e.Path + `" ` + e.Client + "(" + strings.Join(e.Options, ",") + ")\n")
		}
		twice, err := ParseExports(again.String(), "res0")
		if err != nil {
			t.Fatalf("%q gives %q: %v", s, again.String(), err)
		}
		if diff := cmp.Diff(exports, twice); diff != "" {
			t.Errorf("%q (-first +second):\n%s", s, diff)
		}
	})
}
