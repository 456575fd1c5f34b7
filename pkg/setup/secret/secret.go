package secret

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

const (
	size     = 32
	comment  = "# The secret of this cluster's nodes, made by drbdnfs. Keep it to root, and the same on every node.\n"
	redacted = "[secret]"
)

// Lengths of the keys, those that pcs gives them.
const (
	authKeySize  = 256
	passwordSize = 24 // bytes, which are 32 characters
	markSize     = 16
)

// machine is what this package needs of [*host.Host].
type machine interface {
	ReadFile(path string) ([]byte, error)
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	MkdirAll(op, path string, perm fs.FileMode) error
	Remove(op, path string) error
	Lstat(path string) (fs.FileInfo, error)
	Owner(path string) (uid, gid int, err error)
}

var _ machine = (*host.Host)(nil)

// ErrExposed reports a file that others than root may read or have written.
var ErrExposed = errors.New("the secret file is not root's alone")

// ErrMalformed reports a file that does not hold a secret.
var ErrMalformed = errors.New("the secret file holds no secret")

// Secret is the content of the file. Whatever prints it prints "[secret]".
type Secret struct {
	// reveal returns the bytes. They are behind a function so that printing a
	// structure with an unexported Secret in it, whose methods cannot be called
	// then, shows an address.
	reveal func() []byte
}

// Make makes the file at path unless a good one is there, and says whether it
// did. One that is there and cannot be used has the errors of [Load].
func Make(m machine, file string) (made bool, err error) {
	if _, err := Load(m, file); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := Generate(m, file); err != nil {
		return false, err
	}
	return true, nil
}

// Generate makes the file at path. It never replaces one: that is [fs.ErrExist].
// Two of them must not run at once; setup holds its lock.
func Generate(m machine, file string) error {
	if _, err := m.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return fmt.Errorf("make %s: %w", file, err)
	}
	var key [size]byte
	rand.Read(key[:]) // never fails
	data := comment + base64.StdEncoding.EncodeToString(key[:]) + "\n"
	if err := m.MkdirAll("setup.secret-dir", path.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", file, err)
	}
	// A temporary file that a killed run left would keep its permissions.
	if err := m.Remove("setup.secret-tmp", file+".tmp"); err != nil {
		return fmt.Errorf("make %s: %w", file, err)
	}
	if err := m.WriteFileAtomic("setup.secret", file, []byte(data), 0o600); err != nil {
		return fmt.Errorf("make %s: %w", file, err)
	}
	_, err := Load(m, file)
	return err
}

// Load reads the file. One that is missing is [fs.ErrNotExist], one that others
// may read [ErrExposed], one with other content [ErrMalformed]; the error says
// what to do.
func Load(m machine, file string) (Secret, error) {
	st, err := m.Lstat(file)
	if err != nil {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	uid, gid, err := m.Owner(file)
	if err != nil {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	perm := st.Mode().Perm()
	switch {
	case !st.Mode().IsRegular():
		return Secret{}, fmt.Errorf("%w: %s is no regular file", ErrExposed, file)
	case uid != 0 || perm != 0o600 && perm != 0o400:
		return Secret{}, fmt.Errorf("%w: %s has mode %04o, owner %d:%d; run: chown root:root %s && chmod 0600 %s",
			ErrExposed, file, perm, uid, gid, file, file)
	}
	data, err := m.ReadFile(file)
	if err != nil {
		return Secret{}, fmt.Errorf("secret: %w", err)
	}
	key, err := parse(data)
	if err != nil {
		return Secret{}, fmt.Errorf("%s: %w: copy it again from the node that made it", file, err)
	}
	return Secret{reveal: func() []byte { return key }}, nil
}

// parse says nothing of what is in the file.
func parse(data []byte) ([]byte, error) {
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 {
		return nil, fmt.Errorf("%w: %d lines besides comments, not one", ErrMalformed, len(lines))
	}
	key, err := base64.StdEncoding.DecodeString(lines[0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the line is not base64", ErrMalformed)
	case len(key) != size:
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrMalformed, len(key), size)
	case bytes.Equal(key, make([]byte, size)):
		return nil, fmt.Errorf("%w: nothing but zeros", ErrMalformed)
	}
	return key, nil
}

// Derive returns length bytes, at most 8160, that belong to label: the same for
// the same secret and label, and telling nothing of the secret or other labels.
// It panics with a Secret that was not loaded.
func (s Secret) Derive(label string, length int) []byte {
	key, err := hkdf.Key(sha256.New, s.reveal(), nil, "drbdnfs "+label, length)
	if err != nil {
		panic("secret: derive " + label + ": " + err.Error())
	}
	return key
}

// HAClusterPassword is the password of the user hacluster, by which the nodes'
// pcsd know each other: 32 characters that need no quoting.
func (s Secret) HAClusterPassword() string {
	return base64.RawURLEncoding.EncodeToString(s.Derive("hacluster password", passwordSize))
}

// HAClusterMark tells passwords of different secrets apart and says nothing of
// them. It may be kept in a file.
func (s Secret) HAClusterMark() string {
	return hex.EncodeToString(s.Derive("hacluster mark", markSize))
}

// CorosyncKey is the content of /etc/corosync/authkey.
func (s Secret) CorosyncKey() []byte { return s.Derive("corosync authkey", authKeySize) }

// PacemakerKey is the content of /etc/pacemaker/authkey.
func (s Secret) PacemakerKey() []byte { return s.Derive("pacemaker authkey", authKeySize) }

// Valid reports whether s was loaded.
func (s Secret) Valid() bool { return s.reveal != nil }

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret.
func (Secret) GoString() string { return redacted }

// Format hides the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
