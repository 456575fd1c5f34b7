package stream

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
)

// This file holds every difference between versions that matters to whoever
// runs events2. Facts from drbd-utils, tags v9.15.0 to v9.34.0:
// user/v9/drbdsetup.c (events2_poll, generic_events_cmd), user/v84/drbdsetup.c
// (events_cmd), user/v9/drbdadm_main.c (parse_options).

// sinceFull is the first version of the utilities whose events2 has --full;
// --poll is older. Both are of DRBD 9: over an 8.4 kernel drbdsetup becomes
// drbdsetup-84, which refuses them.
var sinceFull = drbd.Version{Major: 9, Minor: 16}

const (
	events2Op  = "drbd.events2"
	refreshOp  = "drbd.events2-now"
	versionOp  = "drbd.version"
	drbdsetup  = "drbdsetup"
	pollNext   = "n" // asks "events2 --poll" for new numbers; the end of the input ends it
	versionMax = 5 * time.Second
)

// form is how events2 runs on a machine, and how its numbers are refreshed.
type form struct {
	args []string
	poll bool // by asking the running child; otherwise by another one with --now
}

// formFor returns the form for a kernel module and the utilities; the zero
// utilities are of an unknown version and get what all understand.
//
// --full prints all keys with each change, so that a missed line does less
// harm; --timestamps adds the time at which drbdsetup saw the change.
func formFor(kernel, utils drbd.Version) form {
	if kernel.Is84() || utils.Compare(sinceFull) < 0 {
		return form{args: []string{"events2", "--timestamps", "--statistics"}}
	}
	return form{args: []string{"events2", "--timestamps", "--full", "--poll"}, poll: true}
}

// child is the command of f.
func (f form) child() host.Cmd { return host.Cmd{Op: events2Op, Name: drbdsetup, Args: f.args} }

// refresh is the command that prints the numbers of all objects and ends.
func refresh() host.Cmd {
	return host.Cmd{Op: refreshOp, Name: drbdsetup, Args: []string{"events2", "--now", "--statistics"}}
}

// runner is what Utils needs of a machine.
type runner interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
}

// Utils asks for the version of the utilities, for at most 5 s. drbdadm prints it
// before it reads any configuration or looks for the module; drbdsetup has no
// such option. A drbdadm that does not tell is an error.
func Utils(ctx context.Context, h runner) (drbd.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionMax)
	defer cancel()
	res, err := h.Run(ctx, host.Cmd{Op: versionOp, Name: "drbdadm", Args: []string{"--version"}})
	if err != nil {
		return drbd.Version{}, err
	}
	return parseUtils(res.Stdout)
}

// errNoUtils reports a drbdadm that does not say its version.
var errNoUtils = errors.New("drbdadm --version does not print DRBDADM_VERSION_CODE")

// parseUtils reads the line "DRBDADM_VERSION_CODE=0x091600", two hexadecimal
// digits for each part.
func parseUtils(out []byte) (drbd.Version, error) {
	for line := range bytes.Lines(out) {
		text, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("DRBDADM_VERSION_CODE=0x"))
		if !ok {
			continue
		}
		code, err := strconv.ParseUint(string(text), 16, 24)
		if err != nil || code == 0 {
			return drbd.Version{}, errNoUtils
		}
		return drbd.Version{Major: int(code >> 16), Minor: int(code >> 8 & 0xff), Patch: int(code & 0xff)}, nil
	}
	return drbd.Version{}, errNoUtils
}
