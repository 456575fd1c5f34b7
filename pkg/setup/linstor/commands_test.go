package linstor_test

import (
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

// Ensure that the commands of LINSTOR's client are the procedure's, for each kind
// of pool, number of nodes and fencing mode.
func TestCommands(t *testing.T) {
	for _, tt := range []struct{ name, config string }{
		{"two-lvm-none", twoLVM},
		{"two-thin-none", twoThin},
		{"three-tie-breaker-drbd-quorum", tied},
		{"two-lvm-stonith", twoNodes + lvm + plain + stonith},
		{"two-lvm-resource-and-stonith", twoNodes + lvm + plain + byDRBD},
	} {
		t.Run(tt.name, func(t *testing.T) {
			golden(t, tt.name+".commands", strings.Join(linstor.Commands(parse(t, tt.config)), "\n")+"\n")
		})
	}
}

// Ensure that the source of the first synchronisation is placed first, and that
// sizes with a unit become what LINSTOR takes.
func TestCommandsFollowTheFile(t *testing.T) {
	text := strings.Join(linstor.Commands(parse(t, twoNodes+lvm+plain+"source = \"drbdtest2\"\n"+none+
		"[resource.drbd]\nc-max-rate = \"1G\"\nc-fill-target = \"1M\"\nmax-buffers = \"36k\"\nresync-rate = \"33\"\n")), "\n")
	for _, want := range []string{
		"set-property res0 DrbdOptions/PeerDevice/c-max-rate 1048576\n",
		"set-property res0 DrbdOptions/PeerDevice/c-fill-target 2048\n",
		"set-property res0 DrbdOptions/Net/max-buffers 36864\n",
		"set-property res0 DrbdOptions/PeerDevice/resync-rate 33\n",
		"linstor resource create drbdtest2 res0 --storage-pool pool01\nlinstor resource create drbdtest1 res0 --storage-pool pool01",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
