package hosttest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// echo is a program that says what it is told.
func echo(_ context.Context, c host.Cmd, stdin io.Reader, stdout io.Writer) error {
	fmt.Fprintln(stdout, "ready")
	sc := bufio.NewScanner(stdin)
	for sc.Scan() {
		if sc.Text() == "fail" {
			return hosttest.Exit(c, 3, "told to")
		}
		fmt.Fprintln(stdout, "got", sc.Text())
	}
	return sc.Err()
}

// Ensure that a program that runs behaves as a real one: it can be talked to,
// ends when nobody wants it any more, and how it ended is told.
func TestStreamInput(t *testing.T) {
	errEnough := errors.New("enough")
	for _, tt := range []struct {
		name, say string
		read      error // what the reader returns
		cancel    bool
		code      int
	}{
		{name: "reader is done", say: "a"},
		{name: "reader fails", say: "a", read: errEnough},
		{name: "program fails", say: "fail", code: 3},
		{name: "context ends", say: "a", cancel: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hosttest.New(t)
				h.Runs("drbdsetup", echo)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				var got string
				err := h.StreamInput(ctx, host.Cmd{Op: "op", Name: "drbdsetup", Args: []string{"events2"}}, func(stdin io.Writer, stdout io.Reader) error {
					sc := bufio.NewScanner(stdout)
					sc.Scan()
					fmt.Fprintln(stdin, tt.say)
					for sc.Scan() {
						got = sc.Text()
						if tt.read != nil || tt.code == 0 && !tt.cancel {
							return tt.read
						}
						if tt.cancel {
							cancel()
						}
					}
					if _, err := io.WriteString(stdin, "x"); err == nil {
						t.Error("a program that has ended can be written to")
					}
					return sc.Err()
				})
				var ee *host.ExitError
				switch {
				case tt.code != 0:
					if !errors.As(err, &ee) || ee.Code != tt.code {
						t.Errorf("error = %v", err)
					}
				case tt.cancel:
					if !errors.Is(err, context.Canceled) {
						t.Errorf("error = %v", err)
					}
				case !errors.Is(err, tt.read):
					t.Errorf("error = %v, want %v", err, tt.read)
				}
				if tt.code == 0 && got != "got "+tt.say {
					t.Errorf("the program said %q", got)
				}
				if got := strings.Join(h.Commands(), ","); got != "drbdsetup events2" {
					t.Errorf("ran %q", got)
				}
			})
		})
	}
}

// Ensure that a program gets the input it was given, that one that is not
// installed is told, and that faults meet the start of one.
func TestStream(t *testing.T) {
	h := hosttest.New(t)
	read := func(got *string) func(io.Reader) error {
		return func(r io.Reader) error {
			b, err := io.ReadAll(r)
			*got = string(b)
			return err
		}
	}
	var got string
	c := host.Cmd{Op: "op", Name: "drbdsetup", Stdin: []byte("a\nb\n")}
	if err := h.Stream(t.Context(), c, read(&got)); !errors.Is(err, host.ErrNotInstalled) {
		t.Errorf("error = %v", err)
	}
	h.Runs("drbdsetup", echo)
	if err := h.Stream(t.Context(), c, read(&got)); err != nil || got != "ready\ngot a\ngot b\n" {
		t.Errorf("%q, %v", got, err)
	}
	h.FailOnce("op", errInjected)
	if err := h.Stream(t.Context(), c, read(&got)); !errors.Is(err, errInjected) {
		t.Errorf("error = %v", err)
	}
}
