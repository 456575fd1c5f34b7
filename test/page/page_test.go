package page

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/page"
	"github.com/spacei/drbdnfs/pkg/status"
)

// pictures are those that pkg/page is tested with.
var pictures = []string{"healthy", "resync", "splitbrain", "down", "nothing"}

// picture reads one of them.
func picture(t *testing.T, name string) (p status.Picture) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "pkg", "page", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// showing is a page that shows p.
func showing(t *testing.T, p status.Picture) http.Handler {
	t.Helper()
	return looking(t, func(context.Context) status.Picture { return p })
}

// broken is a page whose look breaks off.
func broken(t *testing.T) http.Handler {
	t.Helper()
	return looking(t, func(context.Context) status.Picture { panic("a mistake") })
}

func looking(t *testing.T, look func(context.Context) status.Picture) http.Handler {
	t.Helper()
	h, err := page.New(page.Options{Look: look})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// silent breaks the connection off, as a daemon that is killed.
var silent = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })

// staleBanner is what the page says when it is old, "" where it says nothing.
func staleBanner(t *testing.T, document string) string {
	t.Helper()
	m := regexp.MustCompile(`<p id="stale" role="alert"( hidden="")?>([^<]*)</p>`).FindStringSubmatch(document)
	if m == nil {
		t.Fatalf("there is no banner in\n%s", document)
	}
	if shown := m[1] == ""; shown != (m[2] != "") {
		t.Errorf("shown %v with the text %q", shown, m[2])
	}
	return m[2]
}

// Ensure that the page brings itself up to date: what it shows after a while is
// the second answer, all of it; that it asks for nothing but itself, and that
// neither it nor the browser has anything to complain of.
func TestUpdatesItself(t *testing.T) {
	before, after := showing(t, picture(t, "healthy")), showing(t, picture(t, "splitbrain"))
	s := serve(t, func(n int) http.Handler {
		if n == 0 {
			return before
		}
		return after
	})
	document, log := dump(t, s.URL+"/", 12*time.Second)
	p := picture(t, "splitbrain")
	for _, want := range []string{
		p.Headline, p.SplitBrains[0].Command, p.Findings[0].Remedy, "<title>! Degraded: storage – drbdnfs</title>", "StandAlone",
		`<html lang="en" class="scripted">`,
	} {
		if !strings.Contains(document, want) {
			t.Errorf("the document lacks %q", want)
		}
	}
	if old := picture(t, "healthy").Headline; strings.Contains(document, old) {
		t.Errorf("the document still says %q", old)
	}
	if text := staleBanner(t, document); text != "" {
		t.Errorf("the page calls itself old: %s", text)
	}
	if lines := console(log); len(lines) > 0 {
		t.Errorf("on the console:\n%s", strings.Join(lines, ""))
	}
	asked := s.requests()
	for _, r := range asked {
		if r != "GET /" {
			t.Errorf("asked for %s", r)
		}
	}
	if len(asked) < 2 || len(asked) > 4 {
		t.Errorf("%d requests in 12 s", len(asked))
	}
}

// Ensure that the page says when what it shows is old, and why; that what it
// shows stays; and that it goes on when there is an answer again.
func TestStale(t *testing.T) {
	good := showing(t, picture(t, "healthy"))
	const since = " What is shown below is from 2026-11-23 03:12:45 UTC."
	for _, tt := range []struct {
		name    string
		then    http.Handler
		again   bool // the third answer is good
		want    string
		consent string // what the browser itself may write to the console
	}{
		{"killed", silent, false, "The daemon does not answer." + since, "net::ERR_"},
		{"no picture", broken(t), false, "There is no new picture: the look at this node broke off: the journal of drbdnfsd says where." + since, "503"},
		{"something else", http.NotFoundHandler(), false, "There is no new picture: the answer was 404." + since, "404"},
		{"back again", silent, true, "", "net::ERR_"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(n int) http.Handler {
				if n == 0 || tt.again && n >= 2 {
					return good
				}
				return tt.then
			})
			document, log := dump(t, s.URL+"/", 14*time.Second)
			if got := staleBanner(t, document); got != tt.want {
				t.Errorf("the page says %q, want %q", got, tt.want)
			}
			if class := strings.Contains(document, `<body class="stale">`); class != (tt.want != "") {
				t.Errorf("drawn as old: %v", class)
			}
			if p := picture(t, "healthy"); !strings.Contains(document, p.Headline) {
				t.Error("the picture is gone")
			}
			for _, line := range console(log) {
				if !strings.Contains(line, tt.consent) {
					t.Errorf("on the console: %s", line)
				}
			}
			if n := len(s.requests()); n < 3 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Ensure that a page that began without a picture shows one when there is one.
func TestBeginsWithoutPicture(t *testing.T) {
	bad, good := broken(t), showing(t, picture(t, "healthy"))
	s := serve(t, func(n int) http.Handler {
		if n == 0 {
			return bad
		}
		return good
	})
	document, _ := dump(t, s.URL+"/", 8*time.Second)
	if p := picture(t, "healthy"); !strings.Contains(document, p.Headline) || !strings.Contains(document, p.Failovers[0].Reason) {
		t.Errorf("no picture in\n%s", document)
	}
}

// Ensure that the page is loaded again where scripts are off. Here time is real.
func TestWithoutScript(t *testing.T) {
	h := showing(t, picture(t, "healthy"))
	kinds := make(chan string, 16) // of the requests; what comes later is of no interest
	s := serve(t, func(int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case kinds <- r.Header.Get("Sec-Fetch-Dest"):
			default:
			}
			h.ServeHTTP(w, r)
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := browser(ctx, t, s.URL+"/", "--blink-settings=scriptEnabled=false", "--remote-debugging-port=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		select {
		case kind := <-kinds:
			if kind != "document" {
				t.Errorf("request %d was for %q: scripts are not off", n, kind)
			}
		case <-ctx.Done():
			t.Fatalf("request %d did not come", n)
		}
	}
	cancel()
	_ = cmd.Wait() // it was killed
}

// measure is a document that shows all pictures in frames as wide as phones, and
// writes down how wide each would like to be.
func measure(names []string, widths []int) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><title>measure</title>\n")
	for _, n := range names {
		for _, w := range widths {
			fmt.Fprintf(&b, "<iframe width=%d height=800 style='border:0' src='/%s'></iframe>\n", w, n)
		}
	}
	b.WriteString(`<script>
	console.error("the console is heard");
	onload = function () {
		for (const f of document.querySelectorAll("iframe")) {
			const d = f.contentDocument.documentElement;
			document.body.append(document.createElement("output"));
			document.body.lastChild.textContent = f.getAttribute("src") + " " + d.clientWidth + " " + d.scrollWidth + " " + d.classList.contains("scripted");
		}
	};
	</script>`)
	return b.String()
}

// Ensure that no picture is wider than a phone, also where names, paths and
// commands have no place to break.
func TestNoWiderThanPhone(t *testing.T) {
	handlers := map[string]http.Handler{}
	for _, name := range pictures {
		handlers["/"+name] = showing(t, picture(t, name))
	}
	handlers["/long"] = showing(t, long(picture(t, "splitbrain")))
	names, widths := append([]string{"long"}, pictures...), []int{320, 360, 414}
	s := serve(t, func(int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := handlers[r.URL.Path]
			if h == nil {
				fmt.Fprint(w, measure(names, widths))
				return
			}
			r.URL.Path = "/"
			h.ServeHTTP(framed{w}, r)
		})
	})
	document, log := dump(t, s.URL+"/measure", 2*time.Second)
	for _, n := range names {
		for _, w := range widths {
			if want := fmt.Sprintf("<output>/%s %d %d true</output>", n, w, w); !strings.Contains(document, want) {
				t.Errorf("not there: %s", want)
			}
		}
	}
	if t.Failed() {
		t.Log(regexp.MustCompile(`<output>[^<]*`).FindAllString(document, -1))
	}
	if lines := console(log); len(lines) != 1 || !strings.Contains(lines[0], "the console is heard") {
		t.Errorf("on the console:\n%s", html.UnescapeString(strings.Join(lines, "")))
	}
}

// framed lets a page stand in a frame, for this test alone.
type framed struct{ http.ResponseWriter }

func (f framed) WriteHeader(code int) {
	csp := f.Header().Get("Content-Security-Policy")
	f.Header().Set("Content-Security-Policy", strings.ReplaceAll(csp, "frame-ancestors 'none'", "frame-ancestors 'self'"))
	f.ResponseWriter.WriteHeader(code)
}

// long is p with words that do not break.
func long(p status.Picture) status.Picture {
	word := strings.Repeat("averylongword", 12)
	p.Headline, p.Cluster = word, word
	p.Findings[0].What, p.Findings[0].Why, p.Findings[0].Remedy = word, word, word
	p.Service.Group, p.Service.Mount = word, "/"+word
	p.Nodes[0].Name, p.Nodes[1].Note = word, word
	p.SplitBrains[0].Command, p.SplitBrains[0].Sides[0].Node, p.SplitBrains[0].Sides[1].Policy = word, word, word
	p.Failovers[0].From, p.Failovers[0].Detail = word, word
	p.Exports[0].Path, p.VIPs[0].Interface = "/"+word, word
	p.Unknown = []status.Unknown{{Source: word, Why: word}}
	p.Snapshots = []string{word}
	return p
}

// Ensure that the page can be drawn on a phone and on a wide screen, light and
// dark as the reader has it. The screenshots are kept in dist/page.
func TestScreenshots(t *testing.T) {
	chromium(t)
	dir := filepath.Join("..", "..", "dist", "page")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		picture, screen string
		width, height   int
		dark            bool
	}{
		{"down", "phone", 360, 2200, false},
		{"down", "wide", 1280, 1400, true},
		{"splitbrain", "phone", 360, 2600, true},
		{"splitbrain", "wide", 1280, 1500, false},
		{"resync", "wide", 1280, 1300, true},
		{"healthy", "phone", 360, 1700, false},
	} {
		mode := map[bool]string{false: "light", true: "dark"}[tt.dark]
		name := fmt.Sprintf("%s-%s-%s", tt.picture, tt.screen, mode)
		t.Run(name, func(t *testing.T) {
			h := showing(t, picture(t, tt.picture))
			s := serve(t, func(int) http.Handler { return h })
			file := filepath.Join(dir, name+".png")
			args := []string{"--screenshot=" + file, fmt.Sprintf("--window-size=%d,%d", tt.width, tt.height)}
			if tt.dark {
				args = append(args, "--force-dark-mode")
			}
			browse(t, s.URL+"/", args...)
			look(t, file, tt.width, tt.dark)
		})
	}
}

// look makes sure that a screenshot is as wide and as dark as it is meant to be,
// and not of one colour.
func look(t *testing.T, file string, width int, dark bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds().Dx() != width {
		t.Errorf("%d pixels wide, want %d", img.Bounds().Dx(), width)
	}
	if ground := color.GrayModel.Convert(img.At(1, 1)).(color.Gray).Y; dark != (ground < 64) || dark == (ground > 192) {
		t.Errorf("the ground is of lightness %d, dark %v", ground, dark)
	}
	seen := map[color.Color]bool{}
	for y := 0; y < img.Bounds().Dy(); y += 3 {
		seen[img.At(width/2, y)] = true
	}
	if len(seen) < 10 {
		t.Errorf("%d colours", len(seen))
	}
}
