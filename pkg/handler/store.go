package handler

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// Dir is where records are kept.
const Dir = "/var/lib/drbdnfs/events"

// MaxRecords is how many records are kept at most.
const MaxRecords = 200

// stamp is the time at the begin of a record's name, in UTC, so that names sort
// as the calls came.
const stamp = "20060102T150405.000000000Z"

// staleTemp is the age at which an unfinished record cannot become one any more.
const staleTemp = time.Minute

// files is what [Store] needs of the machine; *host.Host is one.
type files interface {
	MkdirAll(op, path string, perm fs.FileMode) error
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	ReadDir(path string) ([]string, error)
	ReadFile(path string) ([]byte, error)
	Lstat(path string) (fs.FileInfo, error)
	Remove(op, path string) error
}

var _ files = (*host.Host)(nil)

// Store is the directory of records. It keeps nothing in memory, and any number
// of processes may use the directory at once.
type Store struct {
	sys files
	dir string
}

// NewStore returns the records in dir, which need not exist.
func NewStore(sys files, dir string) *Store { return &Store{sys: sys, dir: dir} }

// Add writes n, which is one of a helper, durably as a new record and returns
// its name, which is in the record as well. When there are more than
// [MaxRecords] then, it removes the oldest of the resource, peer and kind that
// has most, so that one resource that flaps does not take away what is known
// of another. With a name, an error is of that removal only.
func (s *Store) Add(n notice.Notice) (name string, err error) {
	name = recordName(n)
	h := *n.Helper
	h.Record = name
	n.Helper = &h
	data, err := notice.Encode(n)
	if err != nil {
		return "", err
	}
	if err := s.sys.MkdirAll("handler.dir", s.dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(s.dir, name)
	if err := s.sys.WriteFileAtomic("handler.record", path, data, 0o600); err != nil {
		return "", errors.Join(err, s.sys.Remove("handler.temp", path+".tmp"))
	}
	return name, s.prune(n.When)
}

// Read returns all records, the oldest first. No directory is no record. What
// cannot be read or understood is in the error, and does not keep the others
// from being returned.
func (s *Store) Read() ([]notice.Notice, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var records []notice.Notice
	var errs []error
	for _, name := range names {
		n, err := s.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			errs = append(errs, fmt.Errorf("record %s: %w", name, err))
		default:
			records = append(records, n)
		}
	}
	return records, errors.Join(errs...)
}

func (s *Store) read(name string) (notice.Notice, error) {
	path := filepath.Join(s.dir, name)
	st, err := s.sys.Lstat(path)
	if err != nil {
		return notice.Notice{}, err
	}
	if !st.Mode().IsRegular() || st.Size() > notice.MaxSize {
		return notice.Notice{}, fmt.Errorf("%v of %d bytes is no record", st.Mode(), st.Size())
	}
	data, err := s.sys.ReadFile(path)
	if err != nil {
		return notice.Notice{}, err
	}
	n, err := notice.Parse(data)
	if err == nil && n.Helper == nil {
		err = errors.New("not of a helper")
	}
	if err != nil {
		return notice.Notice{}, err
	}
	n.Helper.Record = name
	return n, nil
}

// names lists the records, the oldest first. Other files are not looked at.
func (s *Store) names() ([]string, error) {
	names, err := s.sys.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !isRecord(name) }), nil
}

// prune removes what is too much, and what a handler that was killed or could
// not write left more than a minute before now.
func (s *Store) prune(now time.Time) error {
	all, err := s.sys.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list records: %w", err)
	}
	var errs []error
	var records []string
	for _, name := range all {
		temp, unfinished := strings.CutSuffix(name, ".tmp")
		switch {
		case isRecord(name):
			records = append(records, name)
		case unfinished && isRecord(temp) && now.Sub(recordTime(temp)) > staleTemp:
			errs = append(errs, s.sys.Remove("handler.temp", filepath.Join(s.dir, name)))
		}
	}
	for _, name := range surplus(records, MaxRecords) {
		errs = append(errs, s.sys.Remove("handler.prune", filepath.Join(s.dir, name)))
	}
	return errors.Join(errs...)
}

// surplus chooses what to remove of records, which are sorted, to keep limit.
func surplus(records []string, limit int) []string {
	groups := map[string][]string{}
	for _, name := range records {
		about := name[len(stamp):]
		groups[about] = append(groups[about], name)
	}
	var drop []string
	for range max(0, len(records)-limit) {
		var most []string
		for _, g := range groups {
			if len(g) > len(most) || len(g) == len(most) && g[0] < most[0] {
				most = g
			}
		}
		drop = append(drop, most[0])
		groups[most[0][len(stamp):]] = most[1:]
	}
	return drop
}

// recordName makes the name of the file for n.
func recordName(n notice.Notice) string {
	h := n.Helper
	return n.When.UTC().Format(stamp) + "_" + safe(h.Resource) + "_" + safe(h.Peer) + "_" + safe(h.Name) + ".json"
}

func isRecord(name string) bool {
	return strings.HasSuffix(name, ".json") && !strings.Contains(name, "/") && !recordTime(name).IsZero()
}

// recordTime is the time in the name of a record, zero for what is none.
func recordTime(name string) time.Time {
	if len(name) <= len(stamp) || name[len(stamp)] != '_' {
		return time.Time{}
	}
	t, err := time.Parse(stamp, name[:len(stamp)])
	if err != nil {
		return time.Time{}
	}
	return t
}

// maxSafe keeps a name of three parts below the 255 bytes of a file system.
const maxSafe = 60

// safe makes a part of a file name out of any text, with %XX for each byte that
// is not plain. What is too long is cut, and keeps apart from others by a hash.
func safe(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	switch {
	case b.Len() == 0:
		return "-"
	case b.Len() > maxSafe:
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(s)) // never fails
		return fmt.Sprintf("%s~%08x", b.String()[:maxSafe-9], sum.Sum32())
	}
	return b.String()
}
