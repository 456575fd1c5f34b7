package alert_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/alert"
)

// certificate is that of a server, as a CA file holds it.
func certificate(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// Ensure that a webhook gets one POST with the whole alert as JSON and the
// token, by TLS that is verified with the CA file.
func TestWebhook(t *testing.T) {
	type request struct {
		method, path, auth, kind, agent string
		body                            []byte
	}
	requests := make(chan request, 10)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- request{r.Method, r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.UserAgent(), body}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	log, lines := logged()
	var c counts
	a, _ := start(t, alert.Options{
		Host: &machine{files: map[string]string{"/token": " t0ken\n", "/ca": certificate(s)}}, Log: log, Count: c.add,
		Webhook: s.URL + "/hook?x=1", TokenFile: "/token", CAFile: "/ca",
	})
	a.Send(found())
	await(t, lines, "alert sent")
	c.want(t, "webhook sent")
	r := <-requests
	if r.method != "POST" || r.path != "/hook?x=1" || r.auth != "Bearer t0ken" || r.kind != "application/json" || !strings.HasPrefix(r.agent, "drbdnfsd/") {
		t.Errorf("%+v", r)
	}
	var got alert.Alert
	if err := json.Unmarshal(r.body, &got); err != nil {
		t.Fatal(err)
	}
	want := found()
	want.Version, want.ID = 1, got.ID
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(requests) > 0 {
		t.Error("it was sent twice")
	}
}

// status answers with code, and repeats what it was sent.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "you sent "+r.URL.String()+" with "+r.Header.Get("Authorization"))
	}
}

// bare answers with what is no HTTP.
func bare(say func(r *http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, say(r))
			conn.Close()
		}
	}
}

// answers are what a server can do to an alert.
var answers = []struct {
	name   string
	answer http.HandlerFunc
	again  bool // a further try makes sense
	says   string
}{
	{"301", status(301), false, "answered 301 Moved Permanently: redirections are not followed"},
	{"307", status(307), false, "redirections are not followed"},
	{"400", status(400), false, "answered 400 Bad Request"},
	{"401", status(401), false, "answered 401 Unauthorized"},
	{"404", status(404), false, "answered 404 Not Found"},
	{"408", status(408), true, "answered 408"},
	{"425", status(425), true, "answered 425"},
	{"429", status(429), true, "answered 429"},
	{"500", status(500), true, "answered 500 Internal Server Error"},
	{"503", status(503), true, "answered 503"},
	{"nothing", bare(func(*http.Request) string { return "" }), true, "EOF"},
	{"an echo", bare(func(r *http.Request) string {
		return r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization") + "\r\n\r\n"
	}), true, "malformed HTTP"},
	{"a hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, true, "deadline exceeded"},
	{"an endless body", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}, false, ""},
}

// Ensure that each kind of answer is taken for what it is, and that whatever
// goes wrong is told without the URL's path, query and password, and without
// the token.
func TestWebhookFails(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				tt.answer(w, r)
			}))
			t.Cleanup(s.Close)
			log, lines := logged()
			url := strings.Replace(s.URL, "http://", "http://us3r:passw0rd@", 1) + "/s3cretpath?k=s3cretquery"
			a, end := start(t, alert.Options{
				Host: &machine{files: map[string]string{"/token": "t0ken"}}, Log: log,
				Webhook: url, TokenFile: "/token", Timeout: time.Second,
			})
			a.Send(found())
			line := await(t, lines, "alert ")
			end()
			if strings.Contains(line, "trying again") != tt.again || strings.Contains(line, "alert sent") != (tt.says == "") ||
				!strings.Contains(line, tt.says) {
				t.Error(line)
			}
			for _, secret := range []string{"s3cret", "passw0rd", "us3r", "t0ken"} {
				if strings.Contains(line, secret) {
					t.Errorf("%s is in the log: %s", secret, line)
				}
			}
			if n.Load() != 1 {
				t.Errorf("%d requests", n.Load())
			}
		})
	}
}

// Ensure that an alert arrives when the server is back.
func TestWebhookRecovers(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer s.Close()
	log, lines := logged()
	var c counts
	a, _ := start(t, alert.Options{Host: &machine{}, Log: log, Webhook: s.URL, Count: c.add})
	a.Send(found())
	if line := await(t, lines, "alert sent"); !strings.Contains(line, "try=2") {
		t.Error(line)
	}
	c.want(t, "webhook sent")
}

// Ensure that nothing is sent to a server whose certificate is not verified, or
// without the token that is configured, and that the reason is told.
func TestWebhookFiles(t *testing.T) {
	var n atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	defer s.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "https://" + other.Addr().String()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, url, token, ca string
		files                map[string]string
		says                 string
	}{
		{"unknown authority", s.URL, "", "", nil, "certificate"},
		{"no CA file", s.URL, "", "/ca", nil, "read CA file: open /ca"},
		{"a CA file of something else", s.URL, "", "/ca", map[string]string{"/ca": "hello"}, "CA file /ca holds no certificate"},
		{"no token file", s.URL, "/token", "", nil, "read token file: open /token"},
		{"an empty token", s.URL, "/token", "", map[string]string{"/token": "\n"}, "token file /token does not hold one word"},
		{"two lines of tokens", s.URL, "/token", "", map[string]string{"/token": "s3cret1\ns3cret2"}, "token file /token does not hold one word"},
		{"nobody there", gone, "", "", nil, "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, lines := logged()
			a, end := start(t, alert.Options{Host: &machine{files: tt.files}, Log: log, Webhook: tt.url, TokenFile: tt.token, CAFile: tt.ca})
			a.Send(found())
			line := await(t, lines, "trying again")
			end()
			if !strings.Contains(line, tt.says) || strings.Contains(line, "s3cret") {
				t.Error(line)
			}
		})
	}
	if n.Load() != 0 {
		t.Errorf("%d requests arrived", n.Load())
	}
}

// deadProxy is where all tests of this package find a proxy in the environment,
// which package http reads once in the life of a process.
const deadProxy = "http://127.0.0.1:1"

func TestMain(m *testing.M) {
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"} {
		os.Setenv(name, deadProxy)
	}
	os.Exit(m.Run())
}

// Ensure that the environment cannot send alerts through somebody else. The host
// is not a loopback address: for those package http never uses a proxy.
func TestWebhookIgnoresProxy(t *testing.T) {
	if req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://webhook.invalid/", nil); err != nil {
		t.Fatal(err)
	} else if u, err := http.ProxyFromEnvironment(req); err != nil || u == nil || u.String() != deadProxy {
		t.Fatalf("the environment has proxy %v, %v: nothing would be tested", u, err)
	}
	log, lines := logged()
	a, _ := start(t, alert.Options{Host: &machine{}, Log: log, Webhook: "http://webhook.invalid/", Timeout: 5 * time.Second})
	a.Send(found())
	if line := await(t, lines, "trying again"); strings.Contains(line, "127.0.0.1:1:") || strings.Contains(line, "proxyconnect") {
		t.Error(line)
	}
}

// Ensure that a webhook that hangs does not hold the command up.
func TestWaysAreApart(t *testing.T) {
	asked := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer s.Close()
	log, lines := logged()
	a, end := start(t, alert.Options{Host: &machine{}, Log: log, Command: argv, Webhook: s.URL, Timeout: time.Hour})
	a.Send(found())
	await(t, lines, "way=command")
	<-asked
	end()
	if line := await(t, lines, "way=webhook"); !strings.Contains(line, "context canceled") {
		t.Error(line)
	}
}
