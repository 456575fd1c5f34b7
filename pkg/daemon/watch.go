package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a directory must be quiet before a change is told: an
	// editor writes, renames and removes in a row.
	settle = 200 * time.Millisecond
	// retryWatch is the pause before a directory that is not there, or was
	// taken away, is looked for again.
	retryWatch = 10 * time.Second
)

// watch calls changed when something in directory dir has changed, at once when
// it begins and whenever something may have been missed, until ctx ends. A
// directory that is not there is waited for. changed must not block for long.
func watch(ctx context.Context, log *slog.Logger, dir string, changed func()) {
	told := false
	for {
		err := watchOnce(ctx, dir, changed)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !told {
			log.Info("directory cannot be watched, looking at it from time to time", "path", dir, "err", err)
			told = true
		}
		if !sleep(ctx, retryWatch) {
			return
		}
	}
}

// watchOnce watches until ctx ends or the directory is gone.
func watchOnce(ctx context.Context, dir string, changed func()) error {
	changed() // also where it cannot be watched
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Add(dir); err != nil {
		return err
	}
	changed() // between the first look and the watch
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-w.Events:
			if !ok {
				return nil
			}
			if ev.Op == fsnotify.Chmod {
				continue
			}
			if ev.Has(fsnotify.Remove|fsnotify.Rename) && filepath.Clean(ev.Name) == filepath.Clean(dir) {
				return nil
			}
			quiet.Reset(settle)
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			return err // events were lost
		case <-quiet.C:
			changed()
		}
	}
}
