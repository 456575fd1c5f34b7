package metrics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

// DefaultListen is where [Listen] listens when nothing is said: only this
// machine can ask. Neither drbd-reactor's 9942 nor ha_cluster_exporter's 9664.
const DefaultListen = "127.0.0.1:19942"

// What bounds a client: how many there may be, how long each may take, and how
// much it may send.
const (
	maxScrapes     = 4  // scrapes that are put together at the same time; one more is told 503
	maxConns       = 64 // connections to one address; one more is closed at once
	handlerTimeout = 10 * time.Second
	readTimeout    = 5 * time.Second // for the header, for all of the request, and for the TLS handshake
	writeTimeout   = handlerTimeout + 10*time.Second
	idleTimeout    = 2 * time.Minute // longer than any usual scrape interval
	maxHeaderBytes = 16 << 10
	stopTimeout    = 3 * time.Second
)

// ServerOptions is what [Listen] builds from.
type ServerOptions struct {
	// Metrics are what /metrics shows. Required.
	Metrics *Metrics
	// Healthy is /healthz: nil when the loop that owns the state is alive, or why
	// it is not. Required. It must not block.
	Healthy func() error
	// Ready is /readyz: whether the dump of events2 was complete. Required. It
	// must not block.
	Ready func() bool
	// Page answers / and /status.json; nil is 404.
	Page http.Handler
	// Listen are addresses as host:port; none is [DefaultListen].
	Listen []string
	// TLSCert and TLSKey are PEM files; with them only TLS is spoken. They are
	// read again when they change.
	TLSCert, TLSKey string
	// ClientCA is a PEM file; with it a client needs a certificate of one of its
	// authorities. Needs TLSCert.
	ClientCA string
	// Log takes what goes wrong; nil discards. Nothing is logged per request
	// above level debug.
	Log *slog.Logger
}

// Server answers on all its addresses. Use [Listen].
type Server struct {
	http      *http.Server
	tls       *tls.Config // nil: no TLS
	listeners []net.Listener
}

// Listen reads the certificate, if there is one, and takes all addresses, so
// that a wrong one is told before the daemon calls itself started. ctx bounds
// the looking up of host names. Nothing is answered before [Server.Run]; a
// server that is not run must be closed.
func Listen(ctx context.Context, o ServerOptions) (*Server, error) {
	if o.Metrics == nil || o.Healthy == nil || o.Ready == nil {
		return nil, errors.New("metrics: metrics, healthy and ready must be given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Listen) == 0 {
		o.Listen = []string{DefaultListen}
	}
	conf, err := newTLS(o)
	if err != nil {
		return nil, fmt.Errorf("metrics endpoint: %w", err)
	}
	s := &Server{http: newHTTP(o), tls: conf}
	var lc net.ListenConfig
	for _, addr := range o.Listen {
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("metrics endpoint: %w", err), s.Close())
		}
		s.listeners = append(s.listeners, &limited{TCPListener: l.(*net.TCPListener), free: newTokens(maxConns)})
	}
	return s, nil
}

func newHTTP(o ServerOptions) *http.Server {
	var only1 http.Protocols // one HTTP/2 connection would be a hundred requests
	only1.SetHTTP1(true)
	return &http.Server{
		Handler:           http.TimeoutHandler(newMux(o), handlerTimeout, "took too long\n"),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         &only1,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // anybody can cause these lines
	}
}

// newMux answers GET and HEAD, on three paths and those of the page; other paths
// are 404 and other methods 405.
func newMux(o ServerOptions) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: maxScrapes,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, o.Healthy())
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var err error
		if !o.Ready() {
			err = errors.New("the state of DRBD is not complete")
		}
		answer(w, err)
	})
	if o.Page != nil {
		mux.Handle("GET /{$}", o.Page)
		mux.Handle("GET /status.json", o.Page)
	}
	return mux
}

// answer says ok, or 503 and why not.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "ok\n"
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = err.Error() + "\n"
	}
	_, _ = w.Write([]byte(text)) // a client that is gone needs no answer
}

// Addrs are the addresses as they were taken, with the real port where 0 was
// asked for.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Run answers until ctx ends, then lets requests finish for at most 3 s, and
// returns nil. An address that breaks before is an error and ends the others.
// On return all addresses are free and no goroutine is left but those of
// requests whose Source or Healthy hangs. Run can be called once.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.listeners {
		g.Go(func() error {
			if s.tls != nil {
				l = tls.NewListener(l, s.tls)
			}
			if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("metrics endpoint: %w", err)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if s.http.Shutdown(stop) != nil {
			_ = s.http.Close() // what has not finished by now is cut off
		}
		return nil
	})
	return g.Wait()
}

// Close frees the addresses of a server that is not run.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
