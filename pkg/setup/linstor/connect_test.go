package linstor_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	golinstor "github.com/LINBIT/golinstor"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

// silent is a network on which nobody answers.
type silent struct{ err error }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.err != nil {
		return nil, s.err
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Ensure that a controller that does not answer is an item while it has not
// been started or is starting, and an error with the address and the command to
// look with when it should answer.
func TestControllerAbsent(t *testing.T) {
	const (
		later = "later LINSTOR's objects: cannot be seen before linstor-controller runs (it is "
		await = "await LINSTOR's controller: starting, its REST API does not answer yet [storage.controller]\n"
		fails = "LINSTOR's controller does not answer at http://localhost:3370: "
		tail  = ") (the host stage starts it: systemctl status linstor-controller) [storage.controller]\n"
	)
	for _, tt := range []struct {
		name, state string
		since       time.Duration
		network     silent
		plan        string
		err         []string
	}{
		{"not started", "inactive", 0, silent{syscall.ECONNREFUSED}, later + "inactive" + tail, nil},
		{"starting", "activating", 0, silent{syscall.ECONNREFUSED}, await + later + "activating" + tail, nil},
		{"just started", "active", 30 * time.Second, silent{syscall.ECONNREFUSED}, await + later + "active" + tail, nil},
		{
			"running for long", "active", time.Hour,
			silent{syscall.ECONNREFUSED},
			"",
			[]string{fails, "connection refused; the unit linstor-controller is active: systemctl status linstor-controller"},
		},
		{
			"failed", "failed", 0,
			silent{syscall.ECONNREFUSED},
			"",
			[]string{fails, "the unit linstor-controller is failed: systemctl status linstor-controller"},
		},
		{"hanging", "active", time.Hour, silent{}, "", []string{fails, "deadline exceeded"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				items, err := absent(t, tt.network, tt.state, tt.since).Look(t.Context())
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("the look took %v", took)
				}
				if got := render(items); got != tt.plan {
					t.Errorf("got %q\nwant %q", got, tt.plan)
				}
				if (err != nil) != (tt.err != nil) {
					t.Fatalf("error %v", err)
				}
				for _, part := range tt.err {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("got %v, want ...%s", err, part)
					}
				}
			})
		})
	}
}

func absent(t *testing.T, network http.RoundTripper, state string, since time.Duration) *linstor.Stage {
	return linstor.New(linstor.Options{
		Machine: machine(t, state, since), Config: parse(t, twoLVM), Self: "drbdtest1",
		Controllers: []string{"localhost"}, HTTPClient: &http.Client{Transport: network},
	})
}

// Ensure that systemd's or the kernel's silence about the unit is an error that
// says what was asked.
func TestUnitUnknown(t *testing.T) {
	for _, op := range []string{"setup.linstor-unit", "read /proc/uptime"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := machine(t, "active", time.Hour)
				if strings.HasPrefix(op, "read ") {
					h.SetFile("/proc/uptime", "no number")
				} else {
					h.Fail(op, errors.New("no bus"))
				}
				s := linstor.New(linstor.Options{
					Machine: h, Config: parse(t, twoLVM), Self: "drbdtest1",
					Controllers: []string{"localhost"}, HTTPClient: &http.Client{Transport: silent{syscall.ECONNREFUSED}},
				})
				if _, err := s.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "connection refused; ") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// late is a controller that nobody answers for until some calls were made.
type late struct {
	transport
	calls *int
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	if *l.calls--; *l.calls > 0 {
		return nil, syscall.ECONNREFUSED
	}
	return l.transport.RoundTrip(r)
}

// Ensure that an apply waits for a controller that is starting, and then goes
// on; and that it gives up when the unit fails.
func TestApplyWaitsForController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := empty(t)
		n := 8
		s := absent(t, late{transport{c}, &n}, "active", 10*time.Second)
		w := apply(t, s)
		if len(w.waiting) == 0 || w.waiting[0] != "LINSTOR's controller to answer: systemctl status linstor-controller" {
			t.Errorf("waited for %q", w.waiting)
		}
		if err := settled(look(t, s)); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := machine(t, "active", 10*time.Second)
		s := linstor.New(linstor.Options{
			Machine: h, Config: parse(t, twoLVM), Self: "drbdtest1",
			Controllers: []string{"localhost"}, HTTPClient: &http.Client{Transport: silent{syscall.ECONNREFUSED}},
		})
		w := &watcher{}
		items, err := s.Look(t.Context())
		if err != nil || items[0].Action != setup.Await {
			t.Fatalf("got %s, %v", render(items), err)
		}
		h.Tool("systemctl", func(host.Cmd) (string, error) { return "ActiveState=failed\n", nil })
		if err := items[0].Do(t.Context(), w); err == nil || !strings.Contains(err.Error(), "the unit linstor-controller is failed") {
			t.Errorf("got %v", err)
		}
	})
}

// Ensure that each error of the API says what LINSTOR said and what to look at.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer reply
		want   string
	}{
		{
			"everything that LINSTOR says", failure(golinstor.FailUnknownError, "It went wrong.", object{
				"cause": "the cause", "details": "some details", "correction": "do this", "error_report_ids": []string{"A-1", "A-2"},
			}),
			"It went wrong.; cause: the cause; details: some details; correction: do this; " +
				"linstor error-reports show A-1; linstor error-reports show A-2",
		},
		{
			"errors among other replies",
			reply{500, append(rc(golinstor.MaskInfo, "all is well"), rc(golinstor.FailInUse, "in use")...)},
			"list LINSTOR's nodes: in use",
		},
		{"warnings alone", reply{500, rc(golinstor.MaskWarn, "careful")}, "list LINSTOR's nodes: careful"},
		{"no words", reply{500, []object{}}, "LINSTOR refused it and did not say why: linstor error-reports list"},
		{"not found", missing(golinstor.FailNotFoundNode, "Nodes"), "LINSTOR at http://localhost:3370 does not know it, or something that it needs (404)"},
		{
			"no token",
			reply{401, rc(golinstor.FailAccDeniedCommand, "Unauthorized: token invalid or not provided")},
			"Unauthorized: token invalid or not provided; check LS_USERNAME and LS_PASSWORD, or LS_BEARER_TOKEN_FILE",
		},
		{
			"no password",
			reply{401, rc(golinstor.FailSignInMissingCredentials, "Missing credentials")},
			"Missing credentials; check LS_USERNAME and LS_PASSWORD, or LS_BEARER_TOKEN_FILE",
		},
		{
			"wrong password",
			reply{403, rc(golinstor.FailSignIn, "Sign-in failed")},
			"Sign-in failed; check LS_USERNAME and LS_PASSWORD, or LS_BEARER_TOKEN_FILE",
		},
		{"a proxy's page", reply{502, "<html>Bad gateway</html>"}, "answered what is not LINSTOR's"},
		{"an empty answer", reply{401, ""}, "check that LS_CONTROLLERS is LINSTOR's REST API"},
		{"other JSON", reply{200, object{"status": "ok"}}, "answered what is not LINSTOR's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				c.intercept = func(r *http.Request) *reply {
					if r.URL.Path == "/v1/nodes" {
						return &tt.answer
					}
					return nil
				}
				_, err := stage(t, c, twoLVM).Look(t.Context())
				if err == nil || !strings.HasPrefix(err.Error(), "list LINSTOR's nodes: ") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v\nwant ...%s", err, tt.want)
				}
			})
		})
	}
}

// Ensure that every look at LINSTOR that fails is an error that names it, also
// when taking back.
func TestLookFails(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/controller/version":                             "ask LINSTOR's controller for its version",
		"/v1/nodes":                                          "list LINSTOR's nodes",
		"/v1/view/storage-pools":                             "list LINSTOR's storage pools",
		"/v1/resource-groups/drbdnfs":                        "look at resource group drbdnfs",
		"/v1/resource-definitions/res0":                      "look at resource definition res0",
		"/v1/resource-definitions/res0/volume-definitions/0": "look at volume definition 0 of res0",
		"/v1/view/resources":                                 "list the resources of res0",
	} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				s := stage(t, c, twoLVM)
				apply(t, s)
				c.intercept = func(r *http.Request) *reply {
					if r.URL.Path == path {
						no := failure(golinstor.FailUnknownError, "broken")
						return &no
					}
					return nil
				}
				if _, err := s.Look(t.Context()); err == nil || err.Error() != want+": broken" {
					t.Errorf("look: %v", err)
				}
				if _, err := s.LookRemove(t.Context()); err == nil || err.Error() != want+": broken" {
					t.Errorf("look remove: %v", err)
				}
			})
		})
	}
}

// Ensure that nothing is said to be removable when nobody answers.
func TestLookRemoveWithoutController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items, err := absent(t, silent{syscall.ECONNREFUSED}, "inactive", 0).LookRemove(t.Context())
		if err != nil || len(items) != 1 || items[0].Action != setup.Warn {
			t.Errorf("got %s, %v", render(items), err)
		}
	})
}

// secure is a LINSTOR behind TLS that asks for a token, and the variables that
// LINSTOR's tools know for it.
func secure(t *testing.T, token string) (c *controller, url string) {
	t.Helper()
	c = empty(t)
	c.onlineIn, c.deployIn, c.token = 0, 0, token
	srv := httptest.NewUnstartedServer(c)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	file := filepath.Join(dir, "token")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := errors.Join(os.WriteFile(ca, data, 0o600), os.WriteFile(file, []byte(token+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LS_CONTROLLERS", srv.URL)
	t.Setenv("LS_ROOT_CA_FILE", ca)
	t.Setenv("LS_BEARER_TOKEN_FILE", file)
	return c, srv.URL
}

func byVariables(t *testing.T, log *slog.Logger) *linstor.Stage {
	return linstor.New(linstor.Options{Machine: machine(t, "active", time.Hour), Config: parse(t, twoLVM), Self: "drbdtest1", Log: log})
}

// Ensure that the LS_ variables are honoured over a real TLS connection, and that
// neither log nor standard error shows the token.
func TestVariables(t *testing.T) {
	const token = "s3cret-token"
	_, _ = secure(t, token)
	var log bytes.Buffer
	stderr := capture(t)
	s := byVariables(t, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	apply(t, s)
	if err := settled(look(t, s)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), `object="storage pool pool01 on drbdtest2" action=make`) {
		t.Errorf("the log does not say what was made:\n%s", log.String())
	}
	if out := log.String() + stderr(); strings.Contains(out, token) || strings.Contains(out, "curl") {
		t.Errorf("the token shows:\n%s", out)
	}
}

// capture puts a file in the place of standard error until the test ends.
func capture(t *testing.T) func() string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = f
	t.Cleanup(func() { os.Stderr = old; _ = f.Close() })
	return func() string {
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
}

// Ensure that wrong variables are errors that name the right one, without the
// secret in them.
func TestWrongVariables(t *testing.T) {
	const token = "s3cret-token"
	for _, tt := range []struct {
		name string
		set  func(t *testing.T, c *controller, url string)
		want string
	}{
		{"token", func(_ *testing.T, c *controller, _ string) { c.token = "another" }, "LS_BEARER_TOKEN_FILE"},
		{"no token file", func(t *testing.T, _ *controller, _ string) {
			t.Setenv("LS_BEARER_TOKEN_FILE", "/nonexistent")
		}, "prepare to speak to LINSTOR with the LS_ variables"},
		{"password", func(t *testing.T, c *controller, _ string) {
			c.token, c.password = "", "right"
			t.Setenv("LS_USERNAME", "admin")
			t.Setenv("LS_PASSWORD", "wr0ng-password")
			t.Setenv("LS_BEARER_TOKEN_FILE", os.DevNull)
		}, "Sign-in failed for password ***; check LS_USERNAME and LS_PASSWORD"},
		{"certificate authority", func(t *testing.T, _ *controller, _ string) {
			other := httptest.NewTLSServer(http.NotFoundHandler())
			other.Close()
			t.Setenv("LS_ROOT_CA_FILE", "")
			if err := os.Unsetenv("LS_ROOT_CA_FILE"); err != nil {
				t.Fatal(err)
			}
		}, "check LS_ROOT_CA or LS_ROOT_CA_FILE"},
		{"http for https", func(t *testing.T, _ *controller, url string) {
			t.Setenv("LS_CONTROLLERS", strings.Replace(url, "https", "http", 1))
		}, "answered what is not LINSTOR's"},
		{"https for http", func(t *testing.T, c *controller, _ string) {
			srv := httptest.NewServer(c)
			t.Cleanup(srv.Close)
			t.Setenv("LS_CONTROLLERS", strings.Replace(srv.URL, "http", "https", 1))
		}, "http or https in LS_CONTROLLERS"},
		{"password in the address", func(t *testing.T, _ *controller, _ string) {
			t.Setenv("LS_CONTROLLERS", "http://admin:wr0ng-password@127.0.0.1:1")
		}, "LINSTOR's controller does not answer at http://admin:xxxxx@127.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, url := secure(t, token)
			tt.set(t, c, url)
			_, err := byVariables(t, nil).Look(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v\nwant ...%s", err, tt.want)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "wr0ng-password") {
				t.Errorf("a secret shows: %v", err)
			}
		})
	}
}

// byHost hands requests for one host to a controller and leaves all others
// without an answer.
type byHost struct {
	transport
	host string
}

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() != b.host {
		return silent{}.RoundTrip(r)
	}
	return b.transport.RoundTrip(r)
}

// Ensure that controllers that are switched off leave time for the one that
// answers, and that all are named when none does.
func TestHangingControllers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := linstor.Options{
			Machine: machine(t, "active", time.Hour), Config: parse(t, twoLVM), Self: "drbdtest1",
			Controllers: []string{"alpha", "bravo", "charlie"},
			HTTPClient:  &http.Client{Transport: byHost{transport{empty(t)}, "charlie"}},
		}
		if got := remarkable(look(t, linstor.New(o))); !strings.HasPrefix(got, "make LINSTOR node drbdtest1: ") {
			t.Errorf("got %s", got)
		}
		o.HTTPClient = &http.Client{Transport: silent{}}
		_, err := linstor.New(o).Look(t.Context())
		if err == nil || !strings.Contains(err.Error(), "at http://alpha:3370: context deadline exceeded; at http://bravo:3370: ") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := linstor.New(o).Look(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
	})
}

// Ensure that of several controllers the one that answers is used.
func TestSeveralControllers(t *testing.T) {
	_, url := secure(t, "s3cret-token")
	t.Setenv("LS_CONTROLLERS", "https://127.0.0.1:1, "+url)
	if got := remarkable(look(t, byVariables(t, nil))); !strings.HasPrefix(got, "make LINSTOR node drbdtest1: ") {
		t.Errorf("got %s", got)
	}
}
