package setup

import (
	"context"
	"time"
)

// Poll calls f every [PollInterval], at first at once, until it is done, fails,
// or ctx ends, whose error it then returns.
func Poll(ctx context.Context, f func() (done bool, err error)) error {
	ticker := time.NewTicker(PollInterval)
	defer ticker.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
