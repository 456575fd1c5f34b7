package node_test

import (
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/setup"
)

const volumeExports = "/home/nfs/user-data *(rw)\n"

// Ensure that a hand-made server that is to be replaced goes on serving, that one
// that exports more than the volume is refused, and that where nothing is served
// the exports of the volume are set aside.
func TestReplaced(t *testing.T) {
	serving := func(w *world, exports string) {
		w.taking = true
		w.units["nfs-server.service"].active = "active"
		w.SetFile("/proc/fs/nfsd/threads", "8\n")
		w.SetFile("/etc/exports", exports)
	}
	check(t, []sight{
		{"it serves", func(w *world) {
			serving(w, volumeExports)
			w.units["nfs-server.service"].file = "disabled"
		}, setup.Keep, "nfs-server.service", "", "runs until the group takes its place"},
		{"it serves more", func(w *world) { serving(w, volumeExports+"/srv *(ro)\n") }, setup.Refuse, "nfs-server.service", "", "/srv"},
		{"it does not serve", func(w *world) {
			w.taking = true
			w.SetFile("/etc/exports", volumeExports)
		}, setup.Change, "/etc/exports", "", "renamed to /etc/exports.before-drbdnfs"},
		{"exports of more", func(w *world) {
			w.taking = true
			w.SetFile("/etc/exports", volumeExports+"/srv *(ro)\n")
		}, setup.Refuse, "/etc/exports", "filesystem.mount", "/home/nfs/user-data"},
	})
}

// Ensure that exports are set aside once, that a file that exports more than the
// volume stays, and that one of /etc/exports.d is named.
func TestSetExportsAside(t *testing.T) {
	for _, tt := range []struct {
		name, file, text, want string
		moved                  bool
	}{
		{"of the volume", "/etc/exports", volumeExports, "", true},
		{"of more", "/etc/exports", volumeExports + "/srv *(ro)\n", "/etc/exports exports /srv, which is not on the volume: take it out", false},
		{"in a directory", "/etc/exports.d/a.exports", volumeExports, "/home/nfs/user-data is still exported by a file of /etc/exports.d: take it out", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.SetFile(tt.file, tt.text)
			for range 2 {
				err := w.stage(t).SetExportsAside()
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want %q", err, tt.want)
				}
			}
			if text, ok := w.File("/etc/exports.before-drbdnfs"); ok != tt.moved || ok && text != tt.text {
				t.Errorf("/etc/exports.before-drbdnfs is %q, %v", text, ok)
			}
		})
	}
}
