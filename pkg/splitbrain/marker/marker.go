package marker

import (
	"errors"
	"fmt"
	"io/fs"
)

// dir holds one file for each resource whose data here are to be discarded.
const dir = "/var/lib/drbdnfs/victim"

// reader is what There needs of *host.Host.
type reader interface {
	Lstat(path string) (fs.FileInfo, error)
}

// writer is what Set and Clear need of *host.Host.
type writer interface {
	MkdirAll(op, path string, perm fs.FileMode) error
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	Remove(op, path string) error
}

// Path is where the marker of a DRBD resource is.
func Path(resource string) string { return dir + "/" + resource }

// There reports whether this node is the victim of resource. Whatever the file
// holds, that it is there counts. An error says neither.
func There(m reader, resource string) (bool, error) {
	_, err := m.Lstat(Path(resource))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", Path(resource), err)
	}
	return true, nil
}

// Set makes this node the victim of resource, with a line for the person who
// finds the file. It is idempotent; when it returns nil the file survives a loss
// of power.
func Set(m writer, resource, why string) error {
	if err := m.MkdirAll("splitbrain.marker-dir", dir, 0o700); err != nil {
		return fmt.Errorf("mark this node as victim of %s: %w", resource, err)
	}
	if err := m.WriteFileAtomic("splitbrain.marker-set", Path(resource), []byte(why+"\n"), 0o600); err != nil {
		return fmt.Errorf("mark this node as victim of %s: %w", resource, err)
	}
	return nil
}

// Clear takes the marker away. It is idempotent.
func Clear(m writer, resource string) error {
	if err := m.Remove("splitbrain.marker-clear", Path(resource)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the marker of %s away: %w", resource, err)
	}
	return nil
}
