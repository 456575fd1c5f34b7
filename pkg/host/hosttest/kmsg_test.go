package hosttest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// Ensure that the log is given from boot on, then its end, then what comes, and
// that a boot begins a new one.
func TestKmsg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.New(t)
		h.Kmsg("drbd: initialized.", "drbd res0: one")
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		ended := make(chan error, 1)
		go func() {
			ended <- h.FollowKmsg(ctx, func(record []byte) error {
				got = append(got, string(record))
				return nil
			})
		}()
		synctest.Wait()
		h.Kmsg("drbd res0: two")
		synctest.Wait()
		before, _ := h.ReadFile("/proc/sys/kernel/random/boot_id")
		h.Reboot()
		h.Kmsg("drbd res0: after boot")
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want %v", err, context.Canceled)
		}
		want := []string{"6,0,0,-;drbd: initialized.\n", "6,1,1000,-;drbd res0: one\n", "", "6,2,2000,-;drbd res0: two\n"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if after, _ := h.ReadFile("/proc/sys/kernel/random/boot_id"); string(after) == string(before) {
			t.Errorf("the boot has the id of the last one, %s", after)
		}
		enough := errors.New("enough")
		for _, want := range []string{"6,0,0,-;drbd res0: after boot\n", ""} {
			err := h.FollowKmsg(t.Context(), func(record []byte) error {
				if string(record) == want {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) {
				t.Errorf("reading up to %q: %v", want, err)
			}
		}
		errInjected := errors.New("injected")
		h.FailOnce("kmsg", errInjected)
		if err := h.FollowKmsg(t.Context(), func([]byte) error { return enough }); !errors.Is(err, errInjected) {
			t.Errorf("error = %v, want %v", err, errInjected)
		}
	})
}
