package cib_test

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spacei/drbdnfs/pkg/cib"
)

func ExampleMerge() {
	data, err := os.ReadFile("testdata/pcs-0.10.xml") // what cibadmin --query prints
	if err != nil {
		panic(err)
	}
	before, err := cib.Parse(data)
	if err != nil {
		panic(err)
	}
	c := example() // config.Parse
	c.NFS.Threads, c.Filesystem.MountOptions = 64, "noatime"
	_, changes, err := cib.Merge(before, c)
	for _, ch := range changes {
		fmt.Printf("%s %s: %s; %s\n", ch.Kind, ch.Object, ch.Detail, cmp.Or(ch.Interrupts, "nobody notices"))
	}
	fmt.Println(err)
	// Output:
	// change primitive nfs: mount_options none → noatime; clients wait: the resource restarts on every node
	// change primitive nfs: nfs_threads 128 → 64; nobody notices
	// <nil>
}
