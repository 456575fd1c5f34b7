package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/spacei/drbdnfs/pkg/status"
)

// Options is what [New] builds from.
type Options struct {
	// Look makes the picture; required. Its context ends after 2 s, and when the
	// page is closed; who waits for it is sent away half a second later. It is
	// never called twice at the same time.
	Look func(ctx context.Context) status.Picture
	// Log takes what goes wrong; nil discards.
	Log *slog.Logger
}

// Page answers / and /status.json. Use [New].
type Page struct {
	mux   *http.ServeMux
	looks *looks
}

var _ http.Handler = (*Page)(nil)

// New returns a page for which nobody has looked yet. It fails without a Look.
// A page has to be closed.
func New(o Options) (*Page, error) {
	if o.Look == nil {
		return nil, errors.New("status page: no look given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Page{mux: http.NewServeMux(), looks: newLooks(o)}
	p.mux.HandleFunc("GET /{$}", p.serveHTML)
	p.mux.HandleFunc("GET /status.json", p.serveJSON)
	return p, nil
}

// Close ends the look that is under way, if there is one, without waiting for
// it. Whoever asks afterwards is told 503.
func (p *Page) Close() { p.looks.end() }

// ServeHTTP answers GET and HEAD with the picture: 200, or 503 where there is
// none. Other methods are told 405, other paths 404, and a browser that was led
// to a loopback address by a name from outside 421. It waits at most 2.5 s.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy)
	if name, misled := misled(r); misled {
		http.Error(w, fmt.Sprintf("this address is for this machine alone and is not called %q: ask for localhost or 127.0.0.1", name),
			http.StatusMisdirectedRequest)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// misled reports whether a request to a loopback address came by a name that
// may be anybody's, and which: a web site can let its own name lead there, and a
// browser on this machine would then show the site what it reads.
func misled(r *http.Request) (name string, yes bool) {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() || r.Host == "" {
		return "", false
	}
	name = r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return name, !strings.EqualFold(name, "localhost") && net.ParseIP(strings.Trim(name, "[]")) == nil
}

func (p *Page) serveHTML(w http.ResponseWriter, r *http.Request) {
	a, err := p.looks.get(r.Context())
	code := http.StatusOK
	var body []byte
	if err == nil {
		body = a.html
	} else {
		code, body = http.StatusServiceUnavailable, withoutPicture(err)
	}
	answer(w, "text/html; charset=utf-8", code, body)
}

func (p *Page) serveJSON(w http.ResponseWriter, r *http.Request) {
	a, err := p.looks.get(r.Context())
	if err != nil {
		body, _ := json.Marshal(map[string]string{"error": err.Error()}) // strings have no other form
		answer(w, "application/json", http.StatusServiceUnavailable, append(body, '\n'))
		return
	}
	answer(w, "application/json", http.StatusOK, a.json)
}

func answer(w http.ResponseWriter, kind string, code int, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that is gone needs no answer
}
