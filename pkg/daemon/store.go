package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// files is what the stores need of the machine.
type files interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	MkdirAll(op, path string, perm fs.FileMode) error
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	Remove(op, path string) error
}

// store is a directory with one file for each resource and peer: what is
// remembered of their split brains.
type store struct {
	files files
	dir   string
}

func (s store) path(resource, peer string) string {
	return s.dir + "/" + splitbrain.RecordFile(resource, peer)
}

// save puts a record on disk. It is there after a loss of power when save
// returns nil.
func (s store) save(r splitbrain.Record) error {
	data, err := r.Marshal()
	if err != nil {
		return err
	}
	if err := s.files.MkdirAll("splitbrain.dir", s.dir, 0o700); err != nil {
		return err
	}
	return s.files.WriteFileAtomic("splitbrain.save", s.path(r.Resource, r.Peer), data, 0o600)
}

// load returns all records. One that cannot be read is [splitbrain.Lost]; the
// error is of the directory as a whole.
func (s store) load() ([]splitbrain.Record, error) {
	names, err := s.files.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []splitbrain.Record
	for _, name := range names {
		if resource, peer, ok := splitbrain.ParseRecordFile(name); ok {
			records = append(records, s.read(resource, peer))
		}
	}
	return records, nil
}

func (s store) read(resource, peer string) splitbrain.Record {
	data, err := s.files.ReadFile(s.path(resource, peer))
	if err != nil {
		return splitbrain.Lost(resource, peer)
	}
	r, err := splitbrain.UnmarshalRecord(data)
	if err != nil || r.Resource != resource || r.Peer != peer {
		return splitbrain.Lost(resource, peer)
	}
	return r
}

// remove forgets a record, if there is one.
func (s store) remove(resource, peer string) error {
	return s.files.Remove("splitbrain.forget", s.path(resource, peer))
}

// maxGap is how long nobody may have watched for a promotion to be known to be
// the last one.
const maxGap = 2 * time.Minute

const bootIDFile = "/proc/sys/kernel/random/boot_id"

// times is when each resource was promoted here. DRBD does not keep that. What
// may have been missed counts as not known.
type times struct {
	files files
	log   *slog.Logger
	path  string

	mu    sync.Mutex
	file  timesFile
	blind time.Time // since when DRBD is not followed; zero: it is
}

type timesFile struct {
	BootID    string               `json:"boot_id"`
	StoppedAt time.Time            `json:"stopped_at,omitzero"` // of a daemon that ended well
	Resources map[string]promotion `json:"resources"`
}

type promotion struct {
	Since time.Time `json:"since,omitzero"` // Primary since then; zero: is not, or not known
	Last  time.Time `json:"last,omitzero"`  // zero: never, or not known
}

func newTimes(f files, log *slog.Logger, path string) *times {
	return &times{files: f, log: log, path: path, file: timesFile{Resources: map[string]promotion{}}}
}

// load takes what an earlier daemon of this boot knew, if it has ended well and
// not long ago.
func (t *times) load(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, _ := t.files.ReadFile(bootIDFile)
	boot := strings.TrimSpace(string(id))
	var f timesFile
	data, err := t.files.ReadFile(t.path)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err == nil && f.Resources != nil && boot != "" && f.BootID == boot && !f.StoppedAt.IsZero() && now.Sub(f.StoppedAt).Abs() < maxGap {
		t.file.Resources = f.Resources
	}
	t.file.BootID = boot
	t.save() // without StoppedAt: a daemon that is killed has not ended well
}

// save writes the file. That it cannot be written makes the times unknown after
// a restart, and nothing worse.
func (t *times) save() {
	data, err := json.Marshal(t.file)
	if err == nil {
		err = t.files.WriteFileAtomic("daemon.times", t.path, append(data, '\n'), 0o600)
	}
	if err != nil {
		t.log.Debug("times of promotions are not saved", "err", err)
	}
}

// changed notes a change of the role.
func (t *times) changed(c drbd.Change, at time.Time) {
	if c.Kind != drbd.Set || c.Object != drbd.ObjectResource || c.Key != "role" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.file.Resources[c.ID.Resource]
	if p.Since = (time.Time{}); c.New == string(drbd.RolePrimary) {
		p.Since, p.Last = at, at
	}
	t.file.Resources[c.ID.Resource] = p
	t.save()
}

// unseen notes that DRBD is not followed any more.
func (t *times) unseen(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blind.IsZero() {
		t.blind = now
	}
}

// dumped compares with what DRBD says now: a Primary of which no promotion was
// seen has been promoted at a time that nobody knows. After a long time without
// DRBD's events nothing is known any more.
func (t *times) dumped(s *drbd.State, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.blind.IsZero() && now.Sub(t.blind) > maxGap {
		t.file.Resources = map[string]promotion{}
	}
	t.blind = time.Time{}
	for name, r := range s.Resources {
		p := t.file.Resources[name]
		switch {
		case r.Role == drbd.RolePrimary && p.Since.IsZero():
			p.Last = time.Time{}
		case r.Role != drbd.RolePrimary:
			p.Since = time.Time{}
		}
		t.file.Resources[name] = p
	}
	t.save()
}

// of returns since when a resource is Primary here and when it was promoted
// last; zero is not known.
func (t *times) of(resource string) (since, last time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.file.Resources[resource]
	return p.Since, p.Last
}

// stopped notes that the daemon ends well.
func (t *times) stopped(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.file.StoppedAt = now
	t.save()
	t.log.Debug("times of promotions saved", "resources", fmt.Sprint(len(t.file.Resources)))
}
