package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Ensure that drbdnfsd prints its manual page, which mandoc and groff accept,
// with each of its flags, the same each time, and starts nothing.
func TestMan(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1763900000")
	h := host.New(nil).WithPath("")
	show := func() string {
		var out bytes.Buffer
		if err := newApp(&out, h, nil).RunContext(t.Context(), []string{"drbdnfsd", "man"}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	page := show()
	if page != show() || !strings.HasPrefix(page, ".TH DRBDNFSD 8 \"2025-11-23\"") {
		t.Errorf("the page begins %.80q", page)
	}
	for _, f := range newApp(nil, h, nil).VisibleFlags() {
		if !strings.Contains(page, `\fB\-\-`+f.Names()[0]+`\fP`) {
			t.Errorf("no flag %s", f.Names()[0])
		}
	}
	for _, argv := range [][]string{{"mandoc", "-T", "lint", "-W", "warning"}, {"groff", "-ww", "-man", "-z"}} {
		if _, err := exec.LookPath(argv[0]); err != nil {
			t.Logf("%s is not installed: scripts/install-deps check", argv[0])
			continue
		}
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", argv[0], err, out)
		}
	}
}
