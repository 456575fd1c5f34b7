package status

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Progress is how far a resync has come by /proc/drbd of a DRBD 8.4 kernel,
// whose events2 tells neither rate nor time (drbd_proc.c,
// drbd_syncer_progress).
type Progress struct {
	Percent      float64
	MiBPerSecond float64
	ETA          time.Duration // 0: not known
}

var (
	procMinor  = regexp.MustCompile(`^\s*(\d+): cs:`)
	procDone   = regexp.MustCompile(`sync'ed:\s*([0-9.]+)%`)
	procFinish = regexp.MustCompile(`finish: (\d+):(\d\d):(\d\d)`)
	procSpeed  = regexp.MustCompile(`speed: ([0-9,]+) `)
)

// parseProgress reads the resyncs in /proc/drbd, by minor.
func parseProgress(proc string) map[int]Progress {
	out := map[int]Progress{}
	minor := -1
	for line := range strings.Lines(proc) {
		if m := procMinor.FindStringSubmatch(line); m != nil {
			minor, _ = strconv.Atoi(m[1])
			continue
		}
		if m := procDone.FindStringSubmatch(line); m != nil {
			percent, _ := strconv.ParseFloat(m[1], 64)
			out[minor] = Progress{Percent: percent}
		}
		p, ok := out[minor]
		if !ok {
			continue
		}
		if m := procFinish.FindStringSubmatch(line); m != nil {
			p.ETA = clock(m[1:])
		}
		if m := procSpeed.FindStringSubmatch(line); m != nil {
			kib, _ := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", ""), 64)
			p.MiBPerSecond = kib / 1024
		}
		out[minor] = p
	}
	return out
}

func clock(hms []string) time.Duration {
	var d time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(hms[i])
		d += time.Duration(n) * unit
	}
	return d
}
