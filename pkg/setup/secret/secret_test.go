package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup/secret"
)

const file = config.DefaultSecretFile

// fixed writes a known secret with good permissions.
func fixed(t *testing.T, h *hosttest.Host, content string, perm fs.FileMode) {
	t.Helper()
	if err := h.MkdirAll("test", "/etc/drbdnfs", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteFileAtomic("test", file, []byte(content), perm); err != nil {
		t.Fatal(err)
	}
}

var known = base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))

func load(t *testing.T) secret.Secret {
	t.Helper()
	h := hosttest.New(t)
	fixed(t, h, known+"\n", 0o600)
	s, err := secret.Load(h, file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Ensure that a made secret is root's, is read back, is another one each time,
// and is never replaced.
func TestGenerate(t *testing.T) {
	passwords := map[string]bool{}
	for range 2 {
		h := hosttest.New(t)
		if err := secret.Generate(h, file); err != nil {
			t.Fatal(err)
		}
		st, err := h.Lstat(file)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, st.Mode(), err)
		}
		before, _ := h.File(file)
		if !strings.HasPrefix(before, "# ") || strings.Count(before, "\n") != 2 {
			t.Errorf("the file is not a comment and a line:\n%s", before)
		}
		s, err := secret.Load(h, file)
		if err != nil {
			t.Fatal(err)
		}
		passwords[s.HAClusterPassword()] = true
		if err := secret.Generate(h, file); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the second Generate: %v, want fs.ErrExist", err)
		}
		if after, _ := h.File(file); after != before {
			t.Error("the second Generate changed the file")
		}
	}
	if len(passwords) != 2 {
		t.Error("two secrets gave the same password")
	}
}

// Ensure that Make keeps a good secret and does not replace a bad one.
func TestMake(t *testing.T) {
	h := hosttest.New(t)
	for i, want := range []bool{true, false} {
		if made, err := secret.Make(h, file); made != want || err != nil {
			t.Errorf("run %d: made %v, %v, want %v", i+1, made, err, want)
		}
	}
	h.SetFile(file, "nonsense\n") // mode 0644
	if made, err := secret.Make(h, file); made || !errors.Is(err, secret.ErrExposed) {
		t.Errorf("over a bad one: made %v, %v", made, err)
	}
	if text, _ := h.File(file); text != "nonsense\n" {
		t.Errorf("a bad one was replaced: %q", text)
	}
}

// Ensure that a Generate that fails or is killed leaves no secret, and that the
// next one works.
func TestGenerateFaults(t *testing.T) {
	for _, op := range []string{"stat " + file, "setup.secret-dir", "setup.secret-tmp", "setup.secret"} {
		h := hosttest.New(t)
		h.FailOnce(op, syscall.EIO)
		if err := secret.Generate(h, file); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v, want EIO", op, err)
		}
		if err := secret.Generate(h, file); err != nil {
			t.Errorf("after %s failed: %v", op, err)
		}
	}
}

// Ensure that a file that others may read, or that holds something else, is
// refused, and that the message does not repeat its content.
func TestLoadRefuses(t *testing.T) {
	good := "# text\n" + known + "\n"
	tests := []struct {
		name, content string
		perm          fs.FileMode
		uid           int
		want          error
	}{
		{"good", good, 0o600, 0, nil},
		{"read-only", good, 0o400, 0, nil},
		{"group reads", good, 0o640, 0, secret.ErrExposed},
		{"world reads", good, 0o644, 0, secret.ErrExposed},
		{"owner", good, 0o600, 1000, secret.ErrExposed},
		{"empty", "", 0o600, 0, secret.ErrMalformed},
		{"comment alone", "# text\n", 0o600, 0, secret.ErrMalformed},
		{"two lines", good + known + "\n", 0o600, 0, secret.ErrMalformed},
		{"not base64", "hunter2!\n", 0o600, 0, secret.ErrMalformed},
		{"short", "aHVudGVyMg==\n", 0o600, 0, secret.ErrMalformed},
		{"zeros", base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n", 0o600, 0, secret.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := hosttest.New(t)
			fixed(t, h, tt.content, tt.perm)
			if err := h.Chown("test", file, tt.uid, 0); err != nil {
				t.Fatal(err)
			}
			s, err := secret.Load(h, file)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Load: %v, want %v", err, tt.want)
			}
			if s.Valid() != (tt.want == nil) {
				t.Errorf("Valid is %v", s.Valid())
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), known)) {
				t.Errorf("the message shows the content: %v", err)
			}
		})
	}
	if _, err := secret.Load(hosttest.New(t), file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v, want fs.ErrNotExist", err)
	}
}

// Ensure that what is derived is the same on every node and in every version,
// differs by label, and has the length that its user asks for.
func TestDerive(t *testing.T) {
	s := load(t)
	if got := s.HAClusterPassword(); len(got) != 32 || strings.ContainsAny(got, ": \n") {
		t.Errorf("password %q: %d characters", got, len(got))
	}
	if a, b := s.CorosyncKey(), s.PacemakerKey(); len(a) != 256 || len(b) != 256 || string(a) == string(b) {
		t.Errorf("keys of %d and %d bytes, equal: %v", len(a), len(b), string(a) == string(b))
	}
	if string(s.Derive("a", 32)) == string(s.Derive("b", 32)) {
		t.Error("two labels give the same")
	}
	// HKDF-SHA256 of the known secret: it must never change, or nodes with
	// another version disagree.
	if got := hex.EncodeToString(s.Derive("a", 16)); got != "f2a2b8aac0b08fc0b645e1e4789f15d3" {
		t.Errorf("Derive gives %s", got)
	}
	if strings.Contains(s.HAClusterPassword(), s.HAClusterMark()[:8]) {
		t.Error("the mark tells of the password")
	}
}

// Ensure that nothing that prints a secret, or a structure that holds one, shows
// it.
func TestHidden(t *testing.T) {
	s := load(t)
	raw := "0123456789abcdefghijklmnopqrstuv"
	holder := struct {
		Open   secret.Secret
		hidden secret.Secret
		p      *secret.Secret
	}{s, s, &s}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	fmt.Fprintln(&out, s.String(), s.GoString())
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "pointer", &s)
	for _, v := range []any{s, &s, holder, map[string]any{"s": s}} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	decimal := strings.Trim(fmt.Sprint([]byte(raw)[:6]), "[]")
	for _, shown := range []string{raw[:6], known[:8], hex.EncodeToString([]byte(raw))[:12], decimal} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("the output shows the secret as %s:\n%s", shown, out.String())
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing says that there is a secret")
	}
}
