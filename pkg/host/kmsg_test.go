package host_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Ensure that the real device is read from its beginning to its end, and that
// waiting for more ends with ctx.
func TestFollowKmsg(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	records, ends := 0, 0
	err := host.New(nil).FollowKmsg(ctx, func(record []byte) error {
		if record == nil {
			ends++
			time.AfterFunc(20*time.Millisecond, cancel)
			return nil
		}
		if records++; !bytes.Contains(record, []byte(";")) || bytes.Count(record[:bytes.IndexByte(record, ';')], []byte(",")) < 3 {
			t.Errorf("record %q", record)
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		t.Skipf("the kernel's log cannot be read here: %v", err)
	case !errors.Is(err, context.Canceled) || ends != 1:
		t.Errorf("error = %v after %d records, with %d ends", err, records, ends)
	}
}
