package signature

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
}

var _ machine = (*host.Host)(nil)

// Scope says which signatures count.
type Scope string

// Scopes. DRBD's internal metadata is at the end of a device and hides the file
// system at its start, unless Content is asked for.
const (
	Any     Scope = ""
	Content Scope = "noraid" // all but what lies below: DRBD, MD, LVM
)

// Found is what a device carries.
type Found struct {
	Type    string // "xfs", "drbd", "LVM2_member", "dos"; "" for nothing
	Version string // of the format, where it has one: "v09" of DRBD
	Label   string
}

// Blank reports whether no signature was found.
func (f Found) Blank() bool { return f == Found{} }

// String names it for people: `xfs "data"`.
func (f Found) String() string {
	if f.Blank() {
		return "nothing"
	}
	s := f.Type
	if f.Version != "" {
		s += " " + f.Version
	}
	if f.Label != "" {
		s += fmt.Sprintf(" %q", f.Label)
	}
	return s
}

// Exit codes of blkid(8).
const (
	exitNothing    = 2
	exitAmbivalent = 8
)

// Probe returns what is on device. More than one signature is an answer too:
// type "several".
//
// Whoever writes below a device that is open elsewhere, as DRBD does with its
// backing device, goes past the kernel's buffers of it. They are dropped first,
// so that what is read is on the disk. That also makes sure that the device can
// be opened: of one that cannot blkid says the same as of a blank one.
func Probe(ctx context.Context, m machine, device string, scope Scope) (Found, error) {
	if _, err := m.Run(ctx, host.Cmd{Op: "setup.flushbufs", Name: "blockdev", Args: []string{"--flushbufs", device}}); err != nil {
		return Found{}, fmt.Errorf("look at %s: %w", device, err)
	}
	args := []string{"-p", "-o", "export"}
	if scope != Any {
		args = append(args, "-u", string(scope))
	}
	res, err := m.Run(ctx, host.Cmd{Op: "setup.blkid", Name: "blkid", Args: append(args, device)})
	var ee *host.ExitError
	switch {
	case err == nil:
		return parse(device, string(res.Stdout))
	case errors.As(err, &ee) && ee.Code == exitNothing && ee.Stderr == "":
		return Found{}, nil
	case errors.As(err, &ee) && ee.Code == exitAmbivalent:
		return Found{Type: "several"}, nil
	}
	return Found{}, fmt.Errorf("look at %s: %w", device, err)
}

// parse reads lines of KEY=value.
func parse(device, out string) (Found, error) {
	v := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		v[key] = value
	}
	f := Found{Type: cmp.Or(v["TYPE"], v["PTTYPE"]), Label: v["LABEL"]}
	if f.Type == "drbd" {
		f.Version = v["VERSION"]
	}
	if f.Type == "" {
		return Found{}, fmt.Errorf("look at %s: blkid printed %.60q", device, out)
	}
	return f, nil
}
