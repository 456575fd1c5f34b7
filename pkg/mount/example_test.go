package mount_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spacei/drbdnfs/pkg/mount"
)

func Example() {
	m := newMachine() // host.New(nil) on a real one
	fs := mount.New(m, slog.New(slog.DiscardHandler), mount.Config{Device: "/dev/drbd1000", Dir: "/home/nfs", Type: "xfs"})
	fmt.Println(fs.Start(context.Background()))
	st, err := fs.Status()
	fmt.Println(st == mount.Mounted, err)
	fmt.Println(fs.Stop(context.Background()))
	// Output:
	// <nil>
	// true <nil>
	// <nil>
}
