package alert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/alert"
	"github.com/spacei/drbdnfs/pkg/host"
)

var when = time.Date(2026, 11, 23, 14, 7, 45, 0, time.UTC)

// found is the alert that most tests send.
func found() alert.Alert {
	return alert.Alert{
		Kind: alert.Found, When: when, Cluster: "nfs_cluster", Node: "drbdtest1", Resource: "res0", Peer: "drbdtest2",
		Summary: "res0 is split between drbdtest1 and drbdtest2",
	}
}

// machine runs a scripted command, and has files.
type machine struct {
	run   func(ctx context.Context, c host.Cmd) (stdout string, err error)
	files map[string]string

	mu   sync.Mutex
	cmds []host.Cmd
}

func (m *machine) Stream(ctx context.Context, c host.Cmd, read func(io.Reader) error) error {
	m.mu.Lock()
	m.cmds = append(m.cmds, c)
	m.mu.Unlock()
	var out string
	var err error
	if m.run != nil {
		out, err = m.run(ctx, c)
	}
	return errors.Join(read(strings.NewReader(out)), err)
}

func (m *machine) ReadFile(path string) ([]byte, error) {
	data, ok := m.files[path]
	if !ok {
		return nil, fmt.Errorf("open %s: no such file or directory", path)
	}
	return []byte(data), nil
}

// alerts are those that the command was given, in the order of the tries.
func (m *machine) alerts(t *testing.T) []alert.Alert {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []alert.Alert
	for _, c := range m.cmds {
		var a alert.Alert
		if err := json.Unmarshal(c.Stdin, &a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// counts are the outcomes as "way what", sorted.
type counts struct {
	mu  sync.Mutex
	all []string
}

func (c *counts) add(way string, what alert.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, way+" "+string(what))
}

func (c *counts) want(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.all)
	if diff := cmp.Diff(want, c.all); diff != "" {
		t.Errorf("outcomes: (-want +got)\n%s", diff)
	}
}

// start makes an alerter and runs it until the test or the returned function
// ends it.
func start(t *testing.T, o alert.Options) (*alert.Alerter, func()) {
	t.Helper()
	a, err := alert.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return a, end
}

var argv = []string{"/usr/local/bin/page", "--urgent"}

// Ensure that the command gets its arguments, the whole alert on standard input
// and the gist in the environment, and that the same id comes with each try.
func TestCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		m := &machine{run: func(context.Context, host.Cmd) (string, error) {
			if n++; n < 3 {
				return "", errors.New("modem is busy")
			}
			return "paged\n", nil
		}}
		var c counts
		var log bytes.Buffer
		a, end := start(t, alert.Options{Host: m, Command: argv, Count: c.add, Log: slog.New(slog.NewTextHandler(&log, nil))})
		begin := time.Now()
		al := found()
		al.Reason = "line one\nline two\x00" + strings.Repeat("x", 5000)
		a.Send(al)
		synctest.Wait()
		time.Sleep(time.Minute)
		end()
		got := m.alerts(t)
		if len(got) != 3 || got[0].ID == "" || got[1].ID != got[0].ID || got[2].ID != got[0].ID {
			t.Fatalf("%d tries", len(got))
		}
		al.Version, al.ID = 1, got[0].ID
		if diff := cmp.Diff(al, got[2]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		cmd := m.cmds[0]
		if cmd.Op != "alert.command" || cmd.Name != argv[0] || !slices.Equal(cmd.Args, argv[1:]) {
			t.Errorf("%+v", cmd)
		}
		want := []string{
			"DRBDNFS_ALERT_ID=" + al.ID, "DRBDNFS_ALERT_KIND=found", "DRBDNFS_ALERT_CLUSTER=nfs_cluster", "DRBDNFS_ALERT_NODE=drbdtest1",
			"DRBDNFS_ALERT_RESOURCE=res0", "DRBDNFS_ALERT_PEER=drbdtest2",
			"DRBDNFS_ALERT_SUMMARY=res0 is split between drbdtest1 and drbdtest2",
			"DRBDNFS_ALERT_REASON=line one line two " + strings.Repeat("x", 1024-18),
		}
		if diff := cmp.Diff(want, cmd.Env); diff != "" {
			t.Errorf("environment: (-want +got)\n%s", diff)
		}
		c.want(t, "command sent")
		for _, text := range []string{"modem is busy", "output=paged", "alert sent", "try=3"} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("%q is not in the log:\n%s", text, log.String())
			}
		}
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("the test took %v", d)
		}
	})
}

// Ensure that a way out that never works is tried three times, after 2 and 4 s,
// and then given up, that each try is cut off in time, and that the next alert
// has its turn.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		m := &machine{run: func(ctx context.Context, _ host.Cmd) (string, error) {
			at = append(at, time.Since(begin))
			<-ctx.Done()
			return "", ctx.Err()
		}}
		var c counts
		a, end := start(t, alert.Options{Host: m, Command: argv, Count: c.add, Timeout: 5 * time.Second})
		a.Send(found())
		other := found()
		other.Resource = "res1"
		a.Send(other)
		time.Sleep(time.Hour)
		end()
		want := []time.Duration{0, 7 * time.Second, 16 * time.Second, 21 * time.Second, 28 * time.Second, 37 * time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("tries: (-want +got)\n%s", diff)
		}
		c.want(t, "command failed", "command failed")
	})
}

// Ensure that a program that is not there is not tried again.
func TestCommandMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{run: func(context.Context, host.Cmd) (string, error) {
			return "", fmt.Errorf("page: %w", host.ErrNotInstalled)
		}}
		var c counts
		a, end := start(t, alert.Options{Host: m, Command: argv, Count: c.add})
		a.Send(found())
		time.Sleep(time.Minute)
		end()
		c.want(t, "command failed")
		if len(m.cmds) != 1 {
			t.Errorf("%d tries", len(m.cmds))
		}
	})
}

// Ensure that what a command prints does not fill memory and log.
func TestCommandPrintsMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{run: func(context.Context, host.Cmd) (string, error) { return strings.Repeat("x", 1<<20), nil }}
		var log bytes.Buffer
		a, end := start(t, alert.Options{Host: m, Command: argv, Log: slog.New(slog.NewTextHandler(&log, nil))})
		a.Send(found())
		synctest.Wait()
		end()
		if n := strings.Count(log.String(), "x"); n < 1000 || n > 1100 {
			t.Errorf("%d bytes of output are logged", n)
		}
	})
}

// Ensure that the same news is told once in a while and not at each look, that
// news that differs in anything but its time is told, and that after a while
// the same is told again.
func TestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		a, end := start(t, alert.Options{Host: m, Command: argv, Repeat: time.Minute})
		for i := range 50 {
			al := found()
			al.When = when.Add(time.Duration(i) * time.Second)
			a.Send(al)
			time.Sleep(time.Second)
		}
		al := found()
		al.Kind = alert.Refused
		a.Send(al)
		al.Reason = "equal changes"
		a.Send(al)
		time.Sleep(10 * time.Second)
		a.Send(found()) // a minute after the first
		time.Sleep(time.Second)
		end()
		var kinds []alert.Kind
		ids := map[string]bool{}
		for _, got := range m.alerts(t) {
			kinds = append(kinds, got.Kind)
			ids[got.ID] = true
		}
		if diff := cmp.Diff([]alert.Kind{alert.Found, alert.Refused, alert.Refused, alert.Found}, kinds); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if len(ids) != 3 { // the first and the last are the very same
			t.Errorf("ids: %v", ids)
		}
	})
}

// Ensure that the memory of what was said is bounded: what is long past in
// number is forgotten.
func TestRepeatedBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		a, end := start(t, alert.Options{Host: m, Command: argv})
		send := func(i int) {
			al := found()
			al.Resource = fmt.Sprint(i)
			a.Send(al)
			synctest.Wait()
		}
		for i := range 257 {
			send(i)
		}
		send(256) // known
		send(0)   // forgotten
		end()
		if got := m.alerts(t); len(got) != 258 || got[257].Resource != "0" {
			t.Errorf("%d alerts", len(got))
		}
	})
}

// Ensure that Send never waits: of what a way out that hangs cannot take, the
// newest is kept, and what was dropped is counted, at the end as well.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		m := &machine{run: func(context.Context, host.Cmd) (string, error) {
			<-open
			return "", nil
		}}
		var c counts
		a, end := start(t, alert.Options{Host: m, Command: argv, Count: c.add})
		begin := time.Now()
		for i := range 100 {
			al := found()
			al.Resource = fmt.Sprint(i)
			a.Send(al)
			synctest.Wait()
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("Send waited for %v", d)
		}
		close(open)
		synctest.Wait()
		end()
		got := m.alerts(t)
		if len(got) != 33 || got[0].Resource != "0" || got[1].Resource != "68" || got[32].Resource != "99" {
			t.Errorf("%d alerts", len(got))
		}
		want := append(slices.Repeat([]string{"command dropped"}, 67), slices.Repeat([]string{"command sent"}, 33)...)
		c.want(t, want...)
		a.Send(alert.Alert{Kind: alert.Resolved}) // after the end it stays in the queue
	})
}

// Ensure that at the end of the daemon nothing is waited for: neither a try that
// hangs, nor a pause, and that what is left is counted.
func TestEnd(t *testing.T) {
	for name, run := range map[string]func(context.Context, host.Cmd) (string, error){
		"in a try":   func(ctx context.Context, _ host.Cmd) (string, error) { <-ctx.Done(); return "", ctx.Err() },
		"in a pause": func(context.Context, host.Cmd) (string, error) { return "", errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c counts
				a, end := start(t, alert.Options{Host: &machine{run: run}, Command: argv, Count: c.add})
				for _, kind := range []alert.Kind{alert.Found, alert.Decided, alert.Discarded} {
					a.Send(alert.Alert{Kind: kind})
				}
				synctest.Wait()
				time.Sleep(time.Second)
				begin := time.Now()
				end()
				if d := time.Since(begin); d != 0 {
					t.Errorf("the end took %v", d)
				}
				first := map[string]string{"in a try": "command failed", "in a pause": "command dropped"}[name]
				c.want(t, "command dropped", "command dropped", first)
			})
		})
	}
}

// Ensure that an alerter that has nobody to tell is one that can be run.
func TestNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, end := start(t, alert.Options{Host: &machine{}})
		a.Send(found())
		end()
	})
}

// Ensure that options that cannot work are refused before anything happens, and
// that the refusal does not repeat what may be a secret.
func TestNew(t *testing.T) {
	h := &machine{}
	tests := []struct {
		name string
		o    alert.Options
		err  string
	}{
		{"no host", alert.Options{}, "alert: no host given"},
		{"a relative command", alert.Options{Host: h, Command: []string{"page"}}, `alert command "page": the program needs an absolute path`},
		{"no URL", alert.Options{Host: h, Webhook: "s3cret:// x"}, "alert webhook: the URL is malformed"},
		{"another scheme", alert.Options{Host: h, Webhook: "file:///s3cret"}, "alert webhook: the URL has to begin with https://HOST or http://HOST"},
		{"no host in the URL", alert.Options{Host: h, Webhook: "https:/s3cret"}, "alert webhook: the URL has to begin with https://HOST or http://HOST"},
		{
			"a token in the clear",
			alert.Options{Host: h, Webhook: "http://example.com/s3cret", TokenFile: "/t"},
			"alert webhook: a token is only sent by https, or to this node itself",
		},
		{"a token to this node", alert.Options{Host: h, Webhook: "http://[::1]:80/", TokenFile: "/t"}, ""},
		{"both", alert.Options{Host: h, Webhook: "https://example.com/", TokenFile: "/t", CAFile: "/c", Command: argv}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := alert.New(tt.o)
			if got := fmt.Sprint(err); got != tt.err && (err != nil || tt.err != "") {
				t.Errorf("got %q, want %q", got, tt.err)
			}
		})
	}
}
