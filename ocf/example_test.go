package ocf_test

import (
	"fmt"

	"github.com/spacei/drbdnfs/ocf"
)

func Example() {
	env := ocf.ParseEnv([]string{"OCF_RESOURCE_INSTANCE=nfs", "OCF_RESKEY_directory="})
	err := ocf.Errorf(ocf.ErrConfigured, "%s: directory is not set", env.Instance)
	fmt.Println(ocf.ExitReasonLine(env.ReasonPrefix, err))
	fmt.Println(int(ocf.CodeOf(err)), ocf.CodeOf(err))
	// Output:
	// ocf-exit-reason:nfs: directory is not set
	// 6 OCF_ERR_CONFIGURED
}
