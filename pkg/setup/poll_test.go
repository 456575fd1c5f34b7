package setup_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// Ensure that polling ends with ctx and with the first error, and does not wait
// when there is nothing to wait for.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, broken := time.Now(), errors.New("broken")
		if err := setup.Poll(t.Context(), func() (bool, error) { return true, nil }); err != nil || time.Since(start) != 0 {
			t.Errorf("done at once: %v after %v", err, time.Since(start))
		}
		if err := setup.Poll(t.Context(), func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := setup.Poll(ctx, func() (bool, error) { return false, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
