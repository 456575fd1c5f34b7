package page

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// picture reads one of those in testdata.
func picture(t *testing.T, name string) (p status.Picture, text string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p, string(data)
}

// showing is a page that shows p.
func showing(t *testing.T, p status.Picture) *Page {
	t.Helper()
	return looking(t, func(context.Context) status.Picture { return p })
}

func looking(t *testing.T, look func(context.Context) status.Picture) *Page {
	t.Helper()
	page, err := New(Options{Look: look})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Close)
	return page
}

// ask sends a request to h and returns the answer.
func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
	return rec
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// bare is a document without its style and script, which stand in files.
func bare(text string) string {
	return strings.NewReplacer(style, "", script, "").Replace(text)
}

// Ensure what the page and the JSON look like for each kind of picture.
func TestPictures(t *testing.T) {
	for _, name := range []string{"healthy", "resync", "splitbrain", "down", "nothing"} {
		t.Run(name, func(t *testing.T) {
			p, text := picture(t, name)
			h := showing(t, p)
			rec := ask(h, "GET", "/")
			if ct := rec.Header().Get("Content-Type"); rec.Code != 200 || ct != "text/html; charset=utf-8" {
				t.Errorf("%d %s", rec.Code, ct)
			}
			golden(t, name+".html", bare(rec.Body.String()))
			rec = ask(h, "GET", "/status.json")
			if ct := rec.Header().Get("Content-Type"); rec.Code != 200 || ct != "application/json" {
				t.Errorf("%d %s", rec.Code, ct)
			}
			if *update {
				text = rec.Body.String()
				golden(t, name+".json", text)
			}
			if diff := cmp.Diff(text, rec.Body.String()); diff != "" {
				t.Errorf("status.json (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that whatever a name or a reason holds, it is text: no tag, no
// attribute and no script comes from it.
func TestHostileText(t *testing.T) {
	const hostile = `evil"'><script>alert(1)</script><img src=x onerror=alert(2)>&{{.}}` + "`$(id)`"
	_, text := picture(t, "splitbrain")
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	poisoned, err := json.Marshal(poison(tree, hostile))
	if err != nil {
		t.Fatal(err)
	}
	var p status.Picture
	if err := json.Unmarshal(poisoned, &p); err != nil {
		t.Fatal(err)
	}
	body := bare(ask(showing(t, p), "GET", "/").Body.String())
	for _, bad := range []string{"<script>a", "<img", `evil"`, "evil'", "onerror=alert(2)>"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	const want = "&lt;script&gt;alert(1)&lt;/script&gt;"
	if n := strings.Count(body, want); n < 30 {
		t.Errorf("%d places show the text, want all that there are", n)
	}
	var back status.Picture
	if err := json.Unmarshal(ask(showing(t, p), "GET", "/status.json").Body.Bytes(), &back); err != nil || back.Headline != hostile {
		t.Errorf("status.json: %v, %q", err, back.Headline)
	}
}

// poison puts text in the place of every text that is not a time.
func poison(v any, text string) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = poison(v[k], text)
		}
	case []any:
		for i := range v {
			v[i] = poison(v[i], text)
		}
	case string:
		if !strings.HasPrefix(v, "2026-") {
			return text
		}
	}
	return v
}

// Ensure that only two paths answer, only to GET and HEAD, and that every answer
// forbids what the page does not need.
func TestPaths(t *testing.T) {
	p, _ := picture(t, "healthy")
	h := showing(t, p)
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/", 200},
		{"HEAD", "/", 200},
		{"GET", "/?x=1", 200},
		{"GET", "/status.json", 200},
		{"HEAD", "/status.json", 200},
		{"POST", "/", 405},
		{"PUT", "/status.json", 405},
		{"DELETE", "/", 405},
		{"OPTIONS", "/", 405},
		{"GET", "/status", 404},
		{"GET", "/index.html", 404},
		{"GET", "/favicon.ico", 404},
		{"GET", "/status.json/", 404},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			rec := ask(h, tt.method, tt.path)
			if rec.Code != tt.code {
				t.Errorf("%d, want %d", rec.Code, tt.code)
			}
			want := map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": policy,
			}
			for key, value := range want {
				if got := rec.Header().Get(key); got != value {
					t.Errorf("%s: %q, want %q", key, got, value)
				}
			}
		})
	}
}

// Ensure that the policy begins with nothing, allows nobody's words for script or
// style, and allows those of the document as they stand in it.
func TestPolicy(t *testing.T) {
	p, _ := picture(t, "healthy")
	body := ask(showing(t, p), "GET", "/").Body.String()
	for _, tag := range []string{"style", "script"} {
		_, rest, _ := strings.Cut(body, "<"+tag+">")
		text, _, found := strings.Cut(rest, "</"+tag+">")
		if !found || !strings.Contains(policy, tag+"-src "+hash(text)+";") {
			t.Errorf("%s is not what %s allows", tag, policy)
		}
		if n := strings.Count(body, "<"+tag); n != 1 {
			t.Errorf("%d times %s", n, tag)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Error(policy)
	}
	for _, outside := range []string{"http:", "https:", "//", "url(", "@import", " style=", " onclick="} {
		if strings.Contains(bare(body)+style, outside) {
			t.Errorf("the page holds %q", outside)
		}
	}
}

// Ensure that a browser that some web site's name has led to a loopback address
// gets nothing, and everybody else what was asked for.
func TestMisled(t *testing.T) {
	p, _ := picture(t, "healthy")
	h := showing(t, p)
	for _, tt := range []struct {
		local, host string
		code        int
	}{
		{"127.0.0.1", "127.0.0.1:19942", 200},
		{"127.0.0.1", "localhost:8080", 200},
		{"127.0.0.1", "LOCALHOST", 200},
		{"::1", "[::1]:19942", 200},
		{"::1", "[::1]", 200},
		{"127.0.0.1", "", 200},
		{"127.0.0.1", "evil.example:19942", 421},
		{"127.0.0.1", "localhost.evil.example", 421},
		{"::1", "evil.example", 421},
		{"192.168.2.61", "drbdtest1.example:19942", 200},
	} {
		t.Run(tt.local+" as "+tt.host, func(t *testing.T) {
			req := httptest.NewRequest("GET", "/status.json", nil)
			req.Host = tt.host
			local := &net.TCPAddr{IP: net.ParseIP(tt.local), Port: 19942}
			req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, local))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if rec.Code != tt.code || (tt.code != 200 && strings.Contains(rec.Body.String(), "drbdtest")) {
				t.Errorf("%d %.100s, want %d", rec.Code, rec.Body, tt.code)
			}
		})
	}
}

// Ensure that without a picture the page says so, and why, and the JSON too.
func TestWithoutPicture(t *testing.T) {
	h := looking(t, func(context.Context) status.Picture { panic("a mistake") })
	rec := ask(h, "GET", "/")
	if rec.Code != 503 {
		t.Errorf("%d", rec.Code)
	}
	golden(t, "without.html", bare(rec.Body.String()))
	rec = ask(h, "GET", "/status.json")
	if want := `{"error":"` + errBroken.Error() + "\"}\n"; rec.Code != 503 || rec.Body.String() != want {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// Ensure that a page needs somebody who looks.
func TestNewWithoutLook(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "no look") {
		t.Errorf("err = %v", err)
	}
}

// Ensure that the page is made even of words that it does not know.
func TestWords(t *testing.T) {
	for _, tt := range []struct{ in, word, mark string }{
		{"healthy", "Healthy", "✓"},
		{"degraded", "Degraded", "!"},
		{"down", "Down", "✕"},
		{"critical", "Critical", "✕"},
		{"warning", "Warning", "!"},
		{"notice", "Notice", "i"},
		{"unknown", "Not seen", "?"},
		{"", "Not known", "?"},
		{"other", "Other", "?"},
	} {
		if w, m := word(tt.in), mark(tt.in); w != tt.word || m != tt.mark {
			t.Errorf("%q: %q %q", tt.in, w, m)
		}
	}
	if text := string(withoutPicture(errors.New("<b>"))); !strings.Contains(text, "&lt;b&gt;") {
		t.Error(text)
	}
}
