package report

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// logEvery is how often a wait is mentioned where lines cannot change in place.
const logEvery = 30 * time.Second

// whole is a tracker's total: parts of a thousand.
const whole = 1000

// line is what one item waits for. On a terminal it is one line that changes in
// place, drawn by a goroutine from the first word until end. Elsewhere it prints
// a line when what is waited for changes, and now and then.
type line struct {
	out      io.Writer
	terminal bool
	object   string

	mu      sync.Mutex
	said    string
	at      time.Time
	writer  progress.Writer
	tracker *progress.Tracker
	drawn   chan struct{} // closed by the goroutine that draws
}

func newLine(out io.Writer, terminal bool, object string) *line {
	return &line{out: out, terminal: terminal, object: object}
}

// Waiting says what is being waited for.
func (l *line) Waiting(what string) { l.show(-1, what) }

// Fraction says how much is done.
func (l *line) Fraction(done float64, text string) { l.show(done, text) }

func (l *line) show(done float64, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.terminal {
		l.draw(done, what)
		return
	}
	if what == l.said && time.Since(l.at) < logEvery || done >= 0 && time.Since(l.at) < logEvery {
		return
	}
	l.said, l.at = what, time.Now()
	if done >= 0 {
		what = fmt.Sprintf("%.1f %%, %s", done*100, what)
	}
	fmt.Fprintf(l.out, "    %s: %s\n", l.object, what)
}

func (l *line) draw(done float64, what string) {
	if l.writer == nil {
		l.start(done)
	}
	l.tracker.UpdateMessage("  " + l.object + ": " + what)
	if done >= 0 {
		// A tracker that reaches its total ends, which is End's to say.
		l.tracker.SetValue(min(int64(done*whole), whole-1))
	}
}

func (l *line) start(done float64) {
	l.tracker = &progress.Tracker{Message: l.object}
	if done >= 0 {
		l.tracker.Total = whole
	}
	l.writer = progress.NewWriter()
	l.writer.SetOutputWriter(l.out)
	l.writer.SetStyle(progress.StyleDefault)
	l.writer.SetUpdateFrequency(200 * time.Millisecond)
	l.writer.SetTrackerPosition(progress.PositionRight)
	l.writer.Style().Visibility.Value = false
	l.writer.Style().Visibility.Percentage = done >= 0
	l.writer.AppendTracker(l.tracker)
	l.drawn = make(chan struct{})
	go func() {
		defer close(l.drawn)
		l.writer.Render()
	}()
}

// end stops drawing and leaves the line to what comes next.
func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writer == nil {
		return
	}
	l.tracker.MarkAsDone()
	l.writer.Stop()
	<-l.drawn
}
