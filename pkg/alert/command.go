package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// outputLimit bounds what is logged of a command's output, and envLimit the
// value of a variable that it gets: the whole is on its standard input.
const (
	outputLimit = 1024
	envLimit    = 1024
)

// command runs a program of the site for each alert.
type command struct {
	host system
	log  *slog.Logger
	argv []string
}

func newCommand(h system, log *slog.Logger, argv []string) (*command, error) {
	if !filepath.IsAbs(argv[0]) {
		return nil, fmt.Errorf("alert command %q: the program needs an absolute path", argv[0])
	}
	return &command{host: h, log: log, argv: argv}, nil
}

func (*command) name() string { return "command" }

// send runs the program with body on its standard input. It has to read to the
// end or not at all, and to end with 0.
func (c *command) send(ctx context.Context, a Alert, body []byte) error {
	var output []byte
	err := c.host.Stream(ctx, host.Cmd{
		Op: "alert.command", Name: c.argv[0], Args: c.argv[1:], Stdin: body, Env: environ(a),
	}, func(stdout io.Reader) error {
		var err error
		if output, err = io.ReadAll(io.LimitReader(stdout, outputLimit)); err == nil {
			_, err = io.Copy(io.Discard, stdout)
		}
		return err
	})
	if len(output) > 0 {
		c.log.Info("alert command printed", "id", a.ID, "output", strings.TrimSpace(strings.ToValidUTF8(string(output), "?")))
	}
	if errors.Is(err, host.ErrNotInstalled) {
		return finalError{err}
	}
	return err
}

// environ is the gist of a for programs that do not read JSON.
func environ(a Alert) []string {
	var env []string
	for _, kv := range [][2]string{
		{"ID", a.ID},
		{"KIND", string(a.Kind)},
		{"CLUSTER", a.Cluster},
		{"NODE", a.Node},
		{"RESOURCE", a.Resource},
		{"PEER", a.Peer},
		{"SUMMARY", a.Summary},
		{"REASON", a.Reason},
	} {
		env = append(env, "DRBDNFS_ALERT_"+kv[0]+"="+line(kv[1]))
	}
	return env
}

// line returns s as one line of bounded length, without the zero bytes that no
// environment can hold.
func line(s string) string {
	if len(s) > envLimit {
		s = s[:envLimit]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
