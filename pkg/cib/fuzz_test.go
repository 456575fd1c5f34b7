package cib_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/cib"
)

// FuzzMerge makes sure that Merge and Remove take any XML, that objects of
// others survive, and that a second merge does no more.
func FuzzMerge(f *testing.F) {
	for _, file := range documents {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`<cib><configuration><resources><clone id="a"><primitive id="nfs" class="ocf" provider="spacei" type="drbdnfs"/></clone></resources></configuration></cib>`)
	c := with(levels, everything, tieBreaker)
	f.Fuzz(func(t *testing.T, data string) {
		doc, err := cib.Parse([]byte(data))
		if err != nil {
			return
		}
		if _, _, err := cib.Remove(doc, c); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		out, _, err := cib.Merge(doc, c)
		if err != nil {
			return
		}
		have := map[string]int{}
		for _, el := range out.FindElements("/cib/configuration/resources/*") {
			have[render(t, el)]++
		}
		for _, el := range doc.FindElements("/cib/configuration[1]/resources/*") {
			foreign := !strings.Contains(render(t, el), "nfs") && !strings.Contains(render(t, el), "ipmi") && !strings.Contains(render(t, el), "pdu")
			if foreign && have[render(t, el)] == 0 {
				t.Errorf("gone: %s", render(t, el))
			}
		}
		again, _, err := cib.Merge(out, c)
		if err != nil {
			t.Fatalf("a second merge: %v", err)
		}
		if text(t, again) != text(t, out) {
			t.Errorf("a second merge makes of\n%s\nthis:\n%s", text(t, out), text(t, again))
		}
	})
}
