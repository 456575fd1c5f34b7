package signature_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup/signature"
)

// Ensure that each answer of blkid is understood, and that an answer that is
// not understood never reads as blank.
func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		name, out, stderr string
		code              int
		want              signature.Found
		text              string
		fails             bool
	}{
		{name: "blank", code: 2, text: "nothing"},
		{name: "DRBD", out: "DEVNAME=/dev/x\nUUID=8e12\nVERSION=v09\nTYPE=drbd\nUSAGE=raid\n", want: signature.Found{Type: "drbd", Version: "v09"}, text: "drbd v09"},
		{name: "file system", out: "DEVNAME=/dev/x\nLABEL=my data\nTYPE=ext4\nVERSION=1.0\n", want: signature.Found{Type: "ext4", Label: "my data"}, text: `ext4 "my data"`},
		{name: "partition table", out: "DEVNAME=/dev/x\nPTUUID=1\nPTTYPE=dos\n", want: signature.Found{Type: "dos"}, text: "dos"},
		{name: "several", code: 8, stderr: "blkid: /dev/x: ambivalent result", want: signature.Found{Type: "several"}, text: "several"},
		{name: "no device", code: 2, stderr: "blkid: error: /dev/x: No such file or directory", fails: true},
		{name: "usage", code: 4, stderr: "blkid: invalid option", fails: true},
		{name: "prose", out: "what\n", fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := hosttest.New(t)
			h.Tool("blockdev", func(host.Cmd) (string, error) { return "", nil })
			h.Tool("blkid", func(c host.Cmd) (string, error) {
				if tt.code != 0 {
					return tt.out, hosttest.Exit(c, tt.code, tt.stderr)
				}
				return tt.out, nil
			})
			got, err := signature.Probe(t.Context(), h, "/dev/x", signature.Any)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			if !tt.fails && got.String() != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			if diff := cmp.Diff([]string{"blockdev --flushbufs /dev/x", "blkid -p -o export /dev/x"}, h.Commands()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that the buffers are dropped or the device is not read, and that the
// scope is passed on.
func TestProbeFlushes(t *testing.T) {
	h := hosttest.New(t)
	h.Tool("blockdev", func(host.Cmd) (string, error) { return "", nil })
	h.Tool("blkid", func(host.Cmd) (string, error) { return "TYPE=xfs\n", nil })
	broken := errors.New("broken")
	h.FailOnce("setup.flushbufs", broken)
	if _, err := signature.Probe(t.Context(), h, "/dev/x", signature.Content); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if got, err := signature.Probe(t.Context(), h, "/dev/x", signature.Content); got.Type != "xfs" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"blockdev --flushbufs /dev/x", "blkid -p -o export -u noraid /dev/x"}, h.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}
