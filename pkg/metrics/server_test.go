package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/metrics"
)

// run starts an endpoint on ports of this machine and returns its addresses
// and what ends it: it fails the test unless Run returns nil.
func run(t *testing.T, o metrics.ServerOptions) (addrs []string, stop func()) {
	t.Helper()
	s, err := metrics.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Addrs() {
		addrs = append(addrs, a.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run = %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
	})
	t.Cleanup(stop)
	return addrs, stop
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// Ensure that only three paths answer, to GET and HEAD, and what they say.
func TestPaths(t *testing.T) {
	w := serving(t, managed)
	for _, tt := range []struct {
		name, method, path string
		healthy            error
		ready              bool
		code               int
		body               string // a part of it
	}{
		{"metrics", "GET", "/metrics", nil, true, 200, "\ndrbdnfs_events2_up 1\n"},
		{"metrics without body", "HEAD", "/metrics", nil, true, 200, ""},
		{"one family", "GET", "/metrics?name[]=drbd_version", nil, true, 200, "drbd_version{"},
		{"runtime", "GET", "/metrics", nil, true, 200, "\ngo_goroutines "},
		{"process", "GET", "/metrics", nil, true, 200, "\nprocess_open_fds "},
		{"alive", "GET", "/healthz", nil, false, 200, "ok\n"},
		{"dead", "GET", "/healthz", errors.New("no turn of the loop for 31s"), true, 503, "no turn of the loop for 31s\n"},
		{"ready", "GET", "/readyz", errors.New("dead"), true, 200, "ok\n"},
		{"not ready", "GET", "/readyz", nil, false, 503, "the state of DRBD is not complete\n"},
		{"root", "GET", "/", nil, true, 404, ""},
		{"below", "GET", "/metrics/x", nil, true, 404, ""},
		{"profiles", "GET", "/debug/pprof/", nil, true, 404, ""},
		{"write", "POST", "/metrics", nil, true, 405, ""},
		{"delete", "DELETE", "/healthz", nil, true, 405, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(w)
			o.Healthy = func() error { return tt.healthy }
			o.Ready = func() bool { return tt.ready }
			rec := httptest.NewRecorder()
			metrics.NewHTTP(o).Handler.ServeHTTP(rec, httptest.NewRequest(tt.method, tt.path, nil))
			if rec.Code != tt.code || !strings.Contains(rec.Body.String(), tt.body) {
				t.Errorf("%d %.200q, want %d %q", rec.Code, rec.Body, tt.code, tt.body)
			}
			if ct := rec.Header().Get("Content-Type"); tt.path == "/metrics" && tt.code == 200 && !strings.Contains(ct, "version=0.0.4") {
				t.Errorf("type %q", ct)
			}
		})
	}
}

// Ensure that a page gets its two paths and nothing else.
func TestPage(t *testing.T) {
	o := options(serving(t, managed))
	o.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "page "+r.URL.Path) })
	h := metrics.NewHTTP(o).Handler
	for _, tt := range []struct {
		method, path string
		code         int
		body         string // a part of it
	}{
		{"GET", "/", 200, "page /"},
		{"GET", "/status.json", 200, "page /status.json"},
		{"HEAD", "/", 200, ""},
		{"POST", "/", 405, ""},
		{"POST", "/metrics", 405, ""},
		{"GET", "/favicon.ico", 404, ""},
		{"GET", "/healthz", 200, "ok\n"},
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(tt.method, tt.path, nil))
		if rec.Code != tt.code || !strings.Contains(rec.Body.String(), tt.body) {
			t.Errorf("%s %s: %d %.100q, want %d %q", tt.method, tt.path, rec.Code, rec.Body, tt.code, tt.body)
		}
	}
}

// Ensure that OpenMetrics is not spoken even when it is asked for: the two
// compatible counters would become something else.
func TestTextFormatOnly(t *testing.T) {
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.1")
	handler(serving(t, managed)).ServeHTTP(rec, req)
	if !strings.Contains(rec.Body.String(), "# TYPE drbd_peerdevice_sent_bytes counter\n") || strings.Contains(rec.Body.String(), "# EOF") {
		t.Errorf("%s: %.200q", rec.Header().Get("Content-Type"), rec.Body)
	}
}

// Ensure that one scrape too many is refused at once, that a scrape that hangs
// is told so in time, and that the next one works when it no longer does.
func TestTooManyScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{}) // the source hangs until it is closed
		w := newWorld(t, managed)
		m, err := metrics.New(metrics.Options{Source: func() *metrics.Snapshot { <-gate; return w.snap }})
		if err != nil {
			t.Fatal(err)
		}
		w.Metrics = m
		h := handler(w)
		ask := func() *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return rec
		}
		begin := time.Now()
		var hanging sync.WaitGroup
		for range metrics.MaxScrapes {
			hanging.Go(func() {
				if rec := ask(); rec.Code != 503 || !strings.Contains(rec.Body.String(), "took too long") {
					t.Errorf("hanging: %d %q", rec.Code, rec.Body)
				}
			})
		}
		synctest.Wait()
		if rec := ask(); rec.Code != 503 || !strings.Contains(rec.Body.String(), "Limit") || time.Since(begin) > 0 {
			t.Errorf("one too many: %d %q after %v", rec.Code, rec.Body, time.Since(begin))
		}
		hanging.Wait()
		if took := time.Since(begin); took != metrics.HandlerTimeout {
			t.Errorf("hanging for %v, want %v", took, metrics.HandlerTimeout)
		}
		close(gate)
		synctest.Wait()
		if rec := ask(); rec.Code != 200 {
			t.Errorf("afterwards: %d %q", rec.Code, rec.Body)
		}
	})
}

// Ensure that what cannot work is refused before anything listens.
func TestListenRefuses(t *testing.T) {
	w := newWorld(t, managed)
	for _, tt := range []struct {
		name   string
		change func(*metrics.ServerOptions)
		want   string
	}{
		{"no metrics", func(o *metrics.ServerOptions) { o.Metrics = nil }, "must be given"},
		{"no healthy", func(o *metrics.ServerOptions) { o.Healthy = nil }, "must be given"},
		{"no ready", func(o *metrics.ServerOptions) { o.Ready = nil }, "must be given"},
		{"address", func(o *metrics.ServerOptions) { o.Listen = []string{"127.0.0.1:0", "127.0.0.1:99999"} }, "invalid port"},
		{"key alone", func(o *metrics.ServerOptions) { o.TLSKey = "k" }, "needs both"},
		{"authority alone", func(o *metrics.ServerOptions) { o.ClientCA = "c" }, "needs both"},
		{"no file", func(o *metrics.ServerOptions) { o.TLSCert, o.TLSKey = "/nonexistent/c", "/nonexistent/k" }, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(w)
			tt.change(&o)
			if _, err := metrics.Listen(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// Ensure that a second server on an address that is taken says so, and leaves
// none of its other addresses taken.
func TestAddressTaken(t *testing.T) {
	addrs, _ := run(t, options(newWorld(t, managed)))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	spare := free.Addr().String()
	free.Close()
	o := options(newWorld(t, managed))
	o.Listen = []string{spare, addrs[0]}
	if _, err := metrics.Listen(t.Context(), o); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("Listen = %v", err)
	}
	again, err := net.Listen("tcp", spare)
	if err != nil {
		t.Fatalf("the other address: %v", err)
	}
	again.Close()
}

// Ensure that all addresses answer, that nothing else than loopback is taken by
// default, and that the end frees them.
func TestRun(t *testing.T) {
	if !strings.HasPrefix(metrics.DefaultListen, "127.0.0.1:") {
		t.Errorf("default %s", metrics.DefaultListen)
	}
	o := options(serving(t, managed))
	o.Listen = []string{"127.0.0.1:0", "127.0.0.1:0"}
	addrs, stop := run(t, o)
	if len(addrs) != 2 || addrs[0] == addrs[1] {
		t.Fatalf("addresses %v", addrs)
	}
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for _, a := range addrs {
		if res, body := get(t, c, "http://"+a+"/metrics"); res.StatusCode != 200 || !strings.Contains(body, "drbdnfs_build_info{") {
			t.Errorf("%s: %s %.100q", a, res.Status, body)
		}
	}
	stop()
	for _, a := range addrs {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Fatalf("still taken: %v", err)
		}
		l.Close()
	}
}

// Ensure that a request that hangs delays the end only so long.
func TestStopIsBounded(t *testing.T) {
	o := options(newWorld(t, managed))
	hung, release := make(chan struct{}), make(chan struct{})
	o.Healthy = func() error { close(hung); <-release; return nil }
	addrs, stop := run(t, o)
	defer close(release)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addrs[0]+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	<-hung
	begin := time.Now()
	stop()
	if took := time.Since(begin); took < time.Second || took > 8*time.Second {
		t.Errorf("took %v, want about 3 s", took)
	}
}

// Ensure that connections that are too many are closed at once, and that there
// is room again when others end.
func TestTooManyConnections(t *testing.T) {
	addrs, _ := run(t, options(newWorld(t, managed)))
	var d net.Dialer
	dial := func() net.Conn {
		c, err := d.DialContext(t.Context(), "tcp", addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	// closed reports whether the other side hangs up within the time given.
	closed := func(c net.Conn, wait time.Duration) bool {
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		var timeout net.Error
		return !(errors.As(err, &timeout) && timeout.Timeout())
	}
	var conns []net.Conn
	for range metrics.MaxConns {
		conns = append(conns, dial())
	}
	if closed(conns[metrics.MaxConns-1], 100*time.Millisecond) {
		t.Error("the last one that there is room for was closed")
	}
	if !closed(dial(), 3*time.Second) {
		t.Fatal("one too many was not closed")
	}
	for _, c := range conns {
		c.Close()
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addrs[0]+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := c.Do(req); err == nil {
			res.Body.Close()
			return
		}
		if time.Since(begin) > 4*time.Second {
			t.Fatal("no room again")
		}
	}
}

// pipes is a listener without a network, so that time can be synthetic.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// Accept returns the far end of the next dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

// Addr is nowhere.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Ensure that clients that are slow are cut off in time, in each way of being
// slow, while others are served.
func TestSlowClients(t *testing.T) {
	for _, tt := range []struct {
		name  string
		send  string
		reads bool
		bound time.Duration
	}{
		{"says nothing", "", true, metrics.ReadTimeout},
		{"half a header", "GET /metrics HTTP/1.1\r\nHost: a\r\nX-", true, metrics.ReadTimeout},
		{"half a body", "GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", true, metrics.ReadTimeout},
		{"reads nothing", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", false, metrics.WriteTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, l := metrics.NewHTTP(options(serving(t, managed))), newPipes()
				go func() { _ = srv.Serve(l) }()
				defer srv.Close()
				begin := time.Now()
				slow := l.dial()
				defer slow.Close()
				if _, err := io.WriteString(slow, tt.send); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				quick := l.dial()
				defer quick.Close()
				go func() { _, _ = io.WriteString(quick, "GET /healthz HTTP/1.0\r\n\r\n") }()
				answer, err := io.ReadAll(quick)
				if err != nil || !strings.HasSuffix(string(answer), "ok\n") {
					t.Errorf("the other client got %q, %v", answer, err)
				}
				if tt.reads {
					_, _ = io.Copy(io.Discard, slow) // ends when the server hangs up
				} else {
					time.Sleep(tt.bound)
					synctest.Wait()
					if err := slow.SetReadDeadline(time.Time{}); !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("is still connected: %v", err)
					}
				}
				if took := time.Since(begin); took > tt.bound+time.Second {
					t.Errorf("was cut off after %v, want %v", took, tt.bound)
				}
			})
		})
	}
}

// Ensure that a header larger than any scraper's is refused.
func TestLargeHeader(t *testing.T) {
	addrs, _ := run(t, options(newWorld(t, managed)))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addrs[0]+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return // cut off before the answer was read: refused as well
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %s", res.Status)
	}
}

// Ensure that a family that cannot be shown is told in the log and costs the
// scrape nothing else.
func TestOneBadFamily(t *testing.T) {
	w := serving(t, managed)
	w.snap.Groups = append(w.snap.Groups, w.snap.Groups[0]) // the same series twice
	var log strings.Builder
	o := options(w)
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	rec := httptest.NewRecorder()
	metrics.NewHTTP(o).Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "drbdnfs_split_brain{") {
		t.Errorf("%d %.200q", rec.Code, rec.Body)
	}
	if !strings.Contains(log.String(), "drbdnfs_group_active") {
		t.Errorf("log: %q", log.String())
	}
}
