package packaging

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	root    = "../.."
	catalog = root + "/packaging/rpm/drbdnfs.catalog"
)

var (
	messageID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	literal   = regexp.MustCompile(`"([0-9a-f]{32})"`)
)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// entries are the catalog's entries by their id.
func entries(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, part := range strings.Split("\n"+read(t, catalog), "\n-- ")[1:] {
		id, text, _ := strings.Cut(part, "\n")
		if !messageID.MatchString(id) || out[id] != "" {
			t.Errorf("entry %q: no id, or there twice", id)
		}
		out[id] = text
	}
	return out
}

// ids are the message ids in the code of all packages that are shipped.
func ids(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, tree := range []string{"cmd", "ocf", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, tree), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range literal.FindAllStringSubmatch(read(t, path), -1) {
				found[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Ensure that each message id of the code has an entry in the catalog and each
// entry an id, and that an entry says what is the matter and what to do.
func TestCatalog(t *testing.T) {
	all := entries(t)
	if diff := cmp.Diff(ids(t), slices.Sorted(maps.Keys(all))); diff != "" {
		t.Errorf("ids of the code and of the catalog (-code +catalog):\n%s", diff)
	}
	for id, text := range all {
		head, body, _ := strings.Cut(text, "\n\n")
		for _, field := range []string{"Subject: ", "Defined-By: drbdnfs", "Support: https://", "Documentation: man:", "Documentation: file:///usr/share/doc/drbdnfs/"} {
			if !strings.Contains(head+"\n", field) {
				t.Errorf("%s has no %s", id, field)
			}
		}
		if !strings.Contains(body, "@TEXT@") || !strings.Contains(body, "\n    ") {
			t.Errorf("%s does not have what happened, or no command to type", id)
		}
	}
}

// Ensure that the documents and fields that the catalog names are there.
func TestCatalogNames(t *testing.T) {
	text := read(t, catalog)
	for _, m := range regexp.MustCompile(`file:///usr/share/doc/drbdnfs/(\S+)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(root + "/docs/" + m[1]); err != nil {
			t.Error(err)
		}
	}
	fields := read(t, root+"/docs/daemon.md")
	for _, m := range regexp.MustCompile(`@(\w+)@`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(fields, "\n| `"+m[1]+"` |") {
			t.Errorf("messages have no field %s", m[1])
		}
	}
}

// Ensure that systemd makes its database of the catalog, as %post does, and
// finds each entry in it.
func TestCatalogCompiles(t *testing.T) {
	if _, err := exec.LookPath("journalctl"); err != nil {
		t.Skip("journalctl is not installed")
	}
	dir := t.TempDir()
	for _, d := range []string{"usr/lib/systemd/catalog", "var/lib/systemd/catalog"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/lib/systemd/catalog/drbdnfs.catalog"), []byte(read(t, catalog)), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "journalctl", append([]string{"--root=" + dir}, args...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("journalctl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("--update-catalog"); out != "" {
		t.Errorf("journalctl says %s", out)
	}
	list := run("--list-catalog")
	for id, text := range entries(t) {
		subject, _, _ := strings.Cut(strings.TrimPrefix(text, "Subject: "), "\n")
		if !strings.Contains(list, id+" drbdnfs: "+subject+"\n") {
			t.Errorf("%s is not in the database:\n%s", id, list)
		}
	}
}

// Ensure that the preset names each unit that can be enabled, and leaves all of
// them off.
func TestPreset(t *testing.T) {
	var want, got []string
	units, err := filepath.Glob(root + "/packaging/rpm/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("%v, %v", units, err)
	}
	for _, u := range units {
		if strings.Contains(read(t, u), "\n[Install]\n") {
			want = append(want, "disable "+filepath.Base(u))
		}
	}
	for l := range strings.Lines(read(t, root+"/packaging/rpm/drbdnfs.preset")) {
		if !strings.HasPrefix(l, "#") {
			got = append(got, strings.TrimSpace(l))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("preset (-want +got):\n%s", diff)
	}
}

// Ensure that the change log begins with the version that is built, and goes
// back in time from there.
func TestChangelog(t *testing.T) {
	spec := read(t, root+"/drbdnfs.spec")
	version := regexp.MustCompile(`(?m)^Version: +(\S+)$`).FindStringSubmatch(spec)
	_, log, _ := strings.Cut(spec, "\n%changelog\n")
	heads := regexp.MustCompile(`(?m)^\* \w{3} (\w{3} \d{2} \d{4}) .* - (\S+)-\d+$`).FindAllStringSubmatch(log, -1)
	if len(version) == 0 || len(heads) == 0 || len(heads) != strings.Count("\n"+log, "\n* ") || heads[0][2] != version[1] {
		t.Fatalf("version %v, entries %v", version, heads)
	}
	newer := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, h := range heads {
		day, err := time.Parse("Jan 02 2006", h[1])
		if err != nil || day.After(newer) {
			t.Errorf("%s: %v, or newer than the entry above", h[0], err)
		}
		newer = day
	}
}
