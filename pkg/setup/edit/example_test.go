package edit_test

import (
	"fmt"

	"github.com/spacei/drbdnfs/pkg/setup/edit"
)

func ExampleSetKey() {
	conf := "[general]\npipefs-directory=/var/lib/nfs/rpc_pipefs\n[nfsd]\nvers3=y\n"
	conf, err := edit.SetKey(conf, "general", "pipefs-directory", "/run/rpc_pipefs")
	fmt.Print(conf)
	fmt.Println(err)
	// Output:
	// [general]
	// # drbdnfs was: pipefs-directory=/var/lib/nfs/rpc_pipefs
	// # drbdnfs begin
	// pipefs-directory=/run/rpc_pipefs
	// # drbdnfs end
	// [nfsd]
	// vers3=y
	// <nil>
}
