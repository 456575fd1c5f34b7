package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/bundle"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
)

// world is a machine with files and programs in memory.
type world struct {
	fstest.MapFS
	mu    sync.Mutex
	runs  map[string]string // what programs print, by program; one that is missing is not installed
	fails map[string]error
	hangs map[string]bool // until ctx ends
	stuck chan struct{}   // "lvs" waits for it, whatever ctx says
}

func (w *world) Stream(ctx context.Context, c host.Cmd, read func(io.Reader) error) error {
	w.mu.Lock()
	out, ok := w.runs[c.Name]
	w.mu.Unlock()
	switch {
	case w.stuck != nil && c.Name == "lvs":
		<-w.stuck
		return nil
	case w.hangs[c.Name]:
		<-ctx.Done()
		return ctx.Err()
	case !ok:
		return fmt.Errorf("%s: %w", c.Name, host.ErrNotInstalled)
	}
	return errors.Join(read(strings.NewReader(out)), w.fails[c.Name])
}

func (w *world) ReadFile(name string) ([]byte, error) {
	return w.MapFS.ReadFile(strings.TrimPrefix(name, "/"))
}

func (w *world) ReadDir(name string) ([]string, error) {
	list, err := fs.ReadDir(w.MapFS, strings.TrimPrefix(name, "/"))
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names, err
}

func (w *world) Lstat(name string) (fs.FileInfo, error) {
	return w.MapFS.Stat(strings.TrimPrefix(name, "/"))
}

const secret = "hunter2-of-all"

// newWorld is a node where a secret is in everything that is read.
func newWorld() *world {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return &world{
		MapFS: fstest.MapFS{
			"etc/drbdnfs/drbdnfs.toml":                 file("cluster = \"nfs_cluster\"\nshared-secret = \"" + secret + "\"\n"),
			"etc/drbdnfs/secret":                       file(secret),
			"etc/corosync/authkey":                     file(secret),
			"etc/corosync/corosync.conf":               file("token: 3000\n"),
			"etc/drbd.d/res0.res":                      file("shared-secret \"" + secret + "\";\n"),
			"var/lib/pacemaker/cib/cib-1.raw":          file(`<cib><nvpair name="passwd" value="` + secret + `"/></cib>`),
			"var/lib/pacemaker/cib/cib.xml":            file("no XML, password " + secret),
			"var/lib/pacemaker/pengine/pe-input-1.bz2": file("no bzip2 " + secret),
			"run/drbdnfs/nfs.json":                     file(`{"password":"` + secret + `"}`),
			"var/lib/drbdnfs/split-brain/a.json":       file("{}\n"),
		},
		runs: map[string]string{
			"journalctl": "__REALTIME_TIMESTAMP=1795465943453868\nSYSLOG_IDENTIFIER=drbdnfs\nMESSAGE=action failed passwd=" + secret + "\n\n",
			"cibadmin":   `<cib><nvpair name="passwd" value="` + secret + `"/></cib>`,
			"drbdadm":    "shared-secret " + secret + ";\n", "tail": "password: " + secret + "\n", "ip": "1: lo\n",
		},
		fails: map[string]error{}, hangs: map[string]bool{},
	}
}

func collect(t *testing.T, w *world) *bundle.Bundle {
	t.Helper()
	now := time.Date(2026, 11, 23, 14, 7, 45, 0, time.UTC)
	return bundle.Collect(t.Context(), bundle.Options{
		Machine: w, Self: "drbdtest1", Now: now, Since: now.Add(-time.Hour),
		Config:  &config.Config{Nodes: []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}}},
		Metrics: func(context.Context) ([]byte, error) { return []byte("drbd_resource 1\n"), nil },
	})
}

// unpack returns the files of an archive.
func unpack(t *testing.T, b *bundle.Bundle) map[string]string {
	t.Helper()
	var buf bytes.Buffer
	if err := b.Write(&buf); err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 || !strings.HasPrefix(h.Name, "drbdtest1-20261123T140745Z/") || path.Clean(h.Name) != h.Name {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "drbdtest1-20261123T140745Z/")] = string(data)
	}
}

// Ensure that no file of the bundle has a secret, whatever the machine says, and
// that the rest is there.
func TestNoSecrets(t *testing.T) {
	files := unpack(t, collect(t, newWorld()))
	for name, data := range files {
		if strings.Contains(data, "hunter2") {
			t.Errorf("%s has the secret: %.200s", name, data)
		}
	}
	for name, want := range map[string]string{
		"etc/drbdnfs.toml": `shared-secret = "(hidden)"`, "files/etc/corosync/corosync.conf": "token: 3000", "timeline.txt": "passwd=(hidden)",
		"cluster/history/cib-1.raw.xml": `value="(hidden)"`, "files/run/drbdnfs/nfs.json": `"(hidden)"`, "host/metrics.txt": "drbd_resource 1",
		"files/var/lib/drbdnfs/split-brain/a.json": "{}", "journal/drbdnfs.export": "MESSAGE=action failed passwd=(hidden)", "host/ip-addr.txt": "1: lo",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s is %.200q, want %q in it", name, files[name], want)
		}
	}
}

// manifest reads the manifest by the names of its files.
func manifest(t *testing.T, files map[string]string) map[string]bundle.File {
	t.Helper()
	var b bundle.Bundle
	if err := json.Unmarshal([]byte(files["manifest.json"]), &b); err != nil {
		t.Fatal(err)
	}
	out := map[string]bundle.File{}
	for _, f := range b.Files {
		out[f.Name] = *f
	}
	return out
}

// Ensure that the manifest says of each source how it ended, what was cut, and how
// much was hidden.
func TestManifest(t *testing.T) {
	w := newWorld()
	w.fails["cibadmin"] = &host.ExitError{Argv: []string{"cibadmin"}, Code: 102, Stderr: "Transport endpoint is not connected"}
	w.runs["tail"] = strings.Repeat("nothing of interest\n", 500000) + w.runs["tail"]
	files := unpack(t, collect(t, w))
	m := manifest(t, files)
	if f := m["cluster/cib.xml"]; f.Exit == nil || *f.Exit != 102 || !strings.Contains(f.Error, "Transport endpoint") || f.Size == 0 {
		t.Errorf("cib.xml: %+v", f)
	}
	if f := m["journal/pacemaker.log"]; f.Cut == 0 || f.Size > 8<<20 || f.Redactions == 0 || len(files["journal/pacemaker.log"]) != f.Size {
		t.Errorf("pacemaker.log: %+v", f)
	}
	if f, ok := m["drbd/status.txt"]; ok {
		t.Errorf("drbdsetup was run, which loads the module: %+v", f)
	}
	if f := m["drbd/proc_drbd.txt"]; f.Error != "there is no such file" {
		t.Errorf("proc_drbd.txt: %+v", f)
	}
	if f := m["host/rpm.txt"]; !strings.Contains(f.Error, "not installed") {
		t.Errorf("rpm.txt: %+v", f)
	}
	if f := m["cluster/pengine/pe-input-1.xml"]; !strings.Contains(f.Error, "bzip2") {
		t.Errorf("pe-input: %+v", f)
	}
}

// Ensure that programs that hang, even one that no signal ends, cost their own
// time and nothing else.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.hangs["crm_mon"], w.hangs["cibadmin"], w.stuck = true, true, make(chan struct{})
		defer close(w.stuck)
		start := time.Now()
		m := manifest(t, unpack(t, collect(t, w)))
		if took := time.Since(start); took > 65*time.Second {
			t.Errorf("it took %s", took)
		}
		if f := m["cluster/crm_mon.xml"]; f.Error == "" || f.TookMS < 20000 {
			t.Errorf("crm_mon.xml: %+v", f)
		}
		if f := m["host/lvs.txt"]; f.Error != "no answer" {
			t.Errorf("lvs.txt: %+v", f)
		}
		if m["host/ip-addr.txt"].Size == 0 {
			t.Error("what answers is not there")
		}
	})
}

// Ensure that everything hanging at once is over after a minute, and that the
// archive says so.
func TestAllHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.MapFS["proc/drbd"] = &fstest.MapFile{Data: []byte("version: 9.1.23\n")}
		for name := range map[string]bool{
			"crm_mon": true, "cibadmin": true, "drbdsetup": true, "drbdadm": true, "journalctl": true, "tail": true, "corosync-cfgtool": true,
			"corosync-quorumtool": true, "ss": true, "lvs": true, "vgs": true, "pvs": true, "systemctl": true, "rpm": true,
		} {
			w.hangs[name] = true
		}
		start := time.Now()
		m := manifest(t, unpack(t, collect(t, w)))
		if took := time.Since(start); took > 65*time.Second {
			t.Errorf("it took %s", took)
		}
		if f := m["host/rpm.txt"]; f.Error == "" || m["drbd/status.txt"].Error == "" {
			t.Errorf("rpm.txt: %+v", f)
		}
	})
}

// Ensure that a bundle of a machine that has nothing is one, with a manifest.
func TestBare(t *testing.T) {
	b := bundle.Collect(t.Context(), bundle.Options{Machine: &world{MapFS: fstest.MapFS{}}, Self: "../drbdtest1", Now: time.Unix(0, 0), Since: time.Unix(0, 0)})
	if b.Folder != "_drbdtest1-19700101T000000Z" || len(b.Failed()) != len(b.Files)-1 || len(b.Cut()) != 0 {
		t.Errorf("folder %s, %d of %d failed, %d cut", b.Folder, len(b.Failed()), len(b.Files), len(b.Cut()))
	}
	if err := b.Write(io.Discard); err != nil {
		t.Error(err)
	}
	if err := b.Write(full{}); err == nil {
		t.Error("a full disk was not noticed")
	}
}

// full is a disk that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
