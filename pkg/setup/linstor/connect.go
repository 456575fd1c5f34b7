package linstor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/LINBIT/golinstor/client"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const (
	unit = "linstor-controller"
	// startTime is how long a controller that systemd calls active may take until
	// its API answers: the Java machine, the database and its migrations.
	startTime = 2 * time.Minute
)

// errNoAnswer means that nobody speaks at any of the controllers' addresses.
var errNoAnswer = errors.New("LINSTOR's controller does not answer")

// api is a controller that has answered.
type api struct {
	*client.Client
	addr    string
	secrets []string // never to be shown, even when LINSTOR repeats them
}

// connect returns the first controller that answers.
//
// Every controller gets a client of its own: a client with several addresses
// looks for the one that answers with a time limit of its own, whatever ctx says.
func (s *Stage) connect(ctx context.Context) (*api, error) {
	addresses := s.controllers
	if len(addresses) == 0 {
		addresses = strings.Split(os.Getenv(client.ControllerUrlEnv), ",")
	}
	share := lookTime / 2 / time.Duration(len(addresses)) // the rest is for looking
	var silent []string
	for _, addr := range addresses {
		a, err := s.open(addr)
		if err != nil {
			return nil, err
		}
		if err = a.answers(ctx, share); err == nil {
			return a, nil
		}
		if ctx.Err() == nil && !unreachable(err) {
			return nil, a.fail("ask LINSTOR's controller for its version", err)
		}
		silent = append(silent, fmt.Sprintf("at %s: %v", a.addr, err))
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%w %s", errNoAnswer, strings.Join(silent, "; "))
}

// answers asks for the version, for as long as limit.
func (a *api) answers(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := a.Controller.GetVersion(ctx)
	return err
}

// open returns a client for the controller at addr, "" for the default.
func (s *Stage) open(addr string) (*api, error) {
	// The client would log each request as a curl command, credentials included.
	options := []client.Option{client.Log(nil), client.UserAgent("drbdnfs")}
	if s.http != nil {
		options = append(options, client.HTTPClient(s.http))
	}
	if addr = strings.TrimSpace(addr); addr != "" {
		options = append(options, client.Controllers([]string{addr}))
	}
	c, err := client.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("prepare to speak to LINSTOR with the LS_ variables: %w", err)
	}
	a := &api{Client: c, addr: c.BaseURL().Redacted()}
	for _, secret := range []string{os.Getenv(client.PasswordEnv), s.c.Resource.DRBD["shared-secret"]} {
		if secret != "" {
			a.secrets = append(a.secrets, secret)
		}
	}
	return a, nil
}

// unreachable reports whether err means that nobody answered, as opposed to an
// answer that is an error. A certificate that is not trusted is an answer.
func unreachable(err error) bool {
	if isTLS(err) {
		return false
	}
	var netError net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netError)
}

// isTLS reports whether err comes from the protocol between TCP and HTTP.
func isTLS(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "HTTP response to HTTPS client") || strings.Contains(err.Error(), "remote error: tls:")
}

// absent tells a controller that has not been started yet from one that is
// starting and from one that should answer.
func (s *Stage) absent(ctx context.Context, silence error) ([]setup.Item, error) {
	state, since, err := s.unitState(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; %w", silence, err)
	}
	later := setup.Item{
		Object: "LINSTOR's objects", Action: setup.Later, Key: "storage.controller",
		Detail: fmt.Sprintf("cannot be seen before %s runs (it is %s)", unit, state),
		Why:    "the host stage starts it: systemctl status " + unit,
	}
	switch {
	case state == "inactive" || state == "deactivating":
		return []setup.Item{later}, nil
	case state == "activating" || state == "active" && since < startTime:
		return []setup.Item{s.awaitController(), later}, nil
	}
	return nil, fmt.Errorf("%w; the unit %s is %s: systemctl status %s", silence, unit, state, unit)
}

// unitState asks systemd for the controller's state and how long it has been
// active.
func (s *Stage) unitState(ctx context.Context) (state string, active time.Duration, err error) {
	out, err := s.m.Run(ctx, host.Cmd{
		Op: "setup.linstor-unit", Name: "systemctl",
		Args: []string{"show", "--property=ActiveState", "--property=ActiveEnterTimestampMonotonic", unit + ".service"},
	})
	if err != nil {
		return "", 0, fmt.Errorf("ask systemd for %s: %w", unit, err)
	}
	var entered time.Duration
	for line := range strings.Lines(string(out.Stdout)) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
		case "ActiveState":
			state = value
		case "ActiveEnterTimestampMonotonic":
			us, _ := strconv.ParseInt(value, 10, 64)
			entered = time.Duration(us) * time.Microsecond
		}
	}
	uptime, err := s.uptime()
	return state, uptime - entered, err
}

// uptime is the machine's monotonic time, which systemd's time stamps are in.
func (s *Stage) uptime() (time.Duration, error) {
	data, err := s.m.ReadFile("/proc/uptime")
	if err != nil {
		return 0, fmt.Errorf("read uptime: %w", err)
	}
	first, _, _ := strings.Cut(string(data), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0, fmt.Errorf("read uptime: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// awaitController waits for a controller that is starting.
func (s *Stage) awaitController() setup.Item {
	return setup.Item{
		Object: "LINSTOR's controller", Action: setup.Await, Key: "storage.controller",
		Detail: "starting, its REST API does not answer yet",
		Do: func(ctx context.Context, p setup.Progress) error {
			return setup.Poll(ctx, func() (bool, error) {
				try, cancel := context.WithTimeout(ctx, lookTime)
				defer cancel()
				_, err := s.connect(try)
				if err == nil || !errors.Is(err, errNoAnswer) {
					return true, err
				}
				if state, _, stateErr := s.unitState(try); stateErr == nil && state != "active" && state != "activating" {
					return true, fmt.Errorf("%w; the unit %s is %s: systemctl status %s", err, unit, state, unit)
				}
				p.Waiting("LINSTOR's controller to answer: systemctl status " + unit)
				return false, nil
			})
		},
	}
}
