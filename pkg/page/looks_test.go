package page

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/status"
)

// counted is a look that takes its time, and knows how many there were.
type counted struct {
	takes         time.Duration
	deaf          bool // does not end with its context
	begun, at, up atomic.Int32
}

func (c *counted) look(ctx context.Context) status.Picture {
	c.begun.Add(1)
	if n := c.at.Add(1); n > c.up.Load() {
		c.up.Store(n)
	}
	defer c.at.Add(-1)
	end := ctx.Done()
	if c.deaf {
		end = nil
	}
	select {
	case <-time.After(c.takes):
	case <-end:
	}
	return status.Picture{Headline: "seen"}
}

// bubble runs f with a page that c looks for.
func bubble(t *testing.T, c *counted, f func(t *testing.T, p *Page)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{Look: c.look})
		if err != nil {
			t.Fatal(err)
		}
		f(t, p)
		p.Close()
	})
}

// Ensure that all who ask at once get the answer of one look, that those who
// come while it lasts join it, and that a second after its end there is a new
// one.
func TestOneLookForAll(t *testing.T) {
	c := &counted{takes: 300 * time.Millisecond}
	bubble(t, c, func(t *testing.T, p *Page) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond) // until after its end
				if rec := ask(p, "GET", []string{"/", "/status.json"}[i%2]); rec.Code != 200 {
					t.Errorf("%d: %d", i, rec.Code)
				}
			})
		}
		all.Wait()
		if n := c.begun.Load(); n != 1 {
			t.Errorf("%d looks", n)
		}
		time.Sleep(restTime)
		ask(p, "GET", "/")
		if n := c.begun.Load(); n != 2 {
			t.Errorf("%d looks after a second", n)
		}
	})
}

// Ensure that however often somebody asks, looks do not overlap and have a
// second between them.
func TestRest(t *testing.T) {
	c := &counted{takes: 500 * time.Millisecond}
	bubble(t, c, func(t *testing.T, p *Page) {
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				for range 200 {
					ask(p, "HEAD", "/")
					time.Sleep(150 * time.Millisecond)
				}
			})
		}
		begin := time.Now()
		all.Wait()
		most := int32(time.Since(begin)/(c.takes+restTime)) + 1
		if n := c.begun.Load(); n > most || n < most/2 {
			t.Errorf("%d looks in %v, want at most %d", n, time.Since(begin), most)
		}
		if c.up.Load() != 1 {
			t.Errorf("%d looks at the same time", c.up.Load())
		}
	})
}

// Ensure that a look is told to end after two seconds, and that its picture is
// shown.
func TestSlowLook(t *testing.T) {
	c := &counted{takes: time.Hour}
	bubble(t, c, func(t *testing.T, p *Page) {
		begin := time.Now()
		if rec := ask(p, "GET", "/"); rec.Code != 200 || time.Since(begin) != lookLimit {
			t.Errorf("%d after %v", rec.Code, time.Since(begin))
		}
	})
}

// Ensure that a look that does not end holds up nobody for longer than 2.5 s, is
// not begun anew meanwhile, and that its old picture is not given out for a new
// one.
func TestHangingLook(t *testing.T) {
	c := &counted{takes: time.Minute, deaf: true}
	bubble(t, c, func(t *testing.T, p *Page) {
		for range 3 {
			begin := time.Now()
			rec := ask(p, "GET", "/")
			if rec.Code != 503 || !strings.Contains(rec.Body.String(), "has not come back within 2.5s") || time.Since(begin) != patience {
				t.Errorf("%d after %v", rec.Code, time.Since(begin))
			}
			time.Sleep(5 * time.Second)
		}
		if n := c.begun.Load(); n != 1 {
			t.Errorf("%d looks", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		c.takes = 0
		if rec := ask(p, "GET", "/"); rec.Code != 200 || c.begun.Load() != 2 {
			t.Errorf("%d in look %d after it came back", rec.Code, c.begun.Load())
		}
	})
}

// Ensure that somebody who goes away does not end the look that another waits
// for.
func TestGoneClient(t *testing.T) {
	c := &counted{takes: time.Second}
	bubble(t, c, func(t *testing.T, p *Page) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(50 * time.Millisecond)
			if rec := ask(p, "GET", "/"); rec.Code != 200 {
				t.Errorf("%d", rec.Code)
			}
		})
		if _, err := p.looks.get(ctx); err == nil || ctx.Err() == nil {
			t.Errorf("err = %v", err)
		}
		other.Wait()
		if n := c.begun.Load(); n != 1 {
			t.Errorf("%d looks", n)
		}
	})
}

// Ensure that closing ends a look, sends away who waits for it, and lets no
// other begin.
func TestClose(t *testing.T) {
	c := &counted{takes: time.Hour}
	bubble(t, c, func(t *testing.T, p *Page) {
		time.AfterFunc(time.Second, p.Close)
		begin := time.Now()
		ask(p, "GET", "/")
		if time.Since(begin) != time.Second {
			t.Errorf("waited %v", time.Since(begin))
		}
		synctest.Wait()
		if c.at.Load() != 0 {
			t.Error("the look goes on")
		}
		rec := ask(p, "GET", "/")
		if rec.Code != 503 || !strings.Contains(rec.Body.String(), errClosed.Error()) || c.begun.Load() != 1 {
			t.Errorf("%d, %d looks", rec.Code, c.begun.Load())
		}
	})
}

// Ensure that a mistake in a look is logged, not fatal, and over with the next.
func TestLookPanics(t *testing.T) {
	var log bytes.Buffer
	broken := true
	synctest.Test(t, func(t *testing.T) {
		p, err := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Look: func(context.Context) status.Picture {
			if broken {
				panic("index out of range")
			}
			return status.Picture{}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if rec := ask(p, "GET", "/"); rec.Code != 503 {
			t.Errorf("%d", rec.Code)
		}
		if !strings.Contains(log.String(), `err="index out of range"`) || !strings.Contains(log.String(), "looks_test.go") {
			t.Error(log.String())
		}
		broken = false
		time.Sleep(restTime)
		if rec := ask(p, "GET", "/"); rec.Code != 200 {
			t.Errorf("%d after it", rec.Code)
		}
	})
}
