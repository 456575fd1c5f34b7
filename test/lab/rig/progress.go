package rig

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressEvery is how often a step that is still running says so.
const progressEvery = 10 * time.Second

// Progress prints what the lab is doing for a person who waits. It is safe for
// use by several goroutines.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

// NewProgress returns a Progress whose clock starts now.
func NewProgress(out io.Writer) *Progress {
	return &Progress{out: out, start: time.Now()}
}

// Printf prints one line with the time since the start in front of it.
func (p *Progress) Printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	fmt.Fprintf(p.out, "[%6.1fs] %s\n", time.Since(p.start).Seconds(), line)
}

// Write prints text as it is; it lets a Progress be used as an io.Writer.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// Step runs f, announces it, and repeats every ten seconds how long it has been
// running. expect is how long it usually takes (0 = unknown).
func (p *Progress) Step(name string, expect time.Duration, f func() error) error {
	p.Printf("%s ...", name)
	begin := time.Now()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				p.Printf("  %s: %s%s", name, round(time.Since(begin)), usually(expect))
			}
		}
	})
	err := f()
	close(done)
	wg.Wait()
	if err != nil {
		p.Printf("%s: FAILED after %s: %v", name, round(time.Since(begin)), err)
		return fmt.Errorf("%s: %w", name, err)
	}
	p.Printf("%s: done in %s", name, round(time.Since(begin)))
	return nil
}

func usually(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf(" (usually about %s)", d)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
