package scenario

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// leftoversScript prints one line for each part of the service that a node holds.
var leftoversScript = fmt.Sprintf(`
grep -q ' %[1]s ' /proc/self/mountinfo && echo "mount %[1]s"
ip -o addr show | grep -q ' %[2]s/' && echo "address %[2]s"
nft list table inet drbdnfs >/dev/null 2>&1 && echo "nft table inet drbdnfs"
threads=$(cat /proc/fs/nfsd/threads 2>/dev/null || echo 0)
[ "$threads" = 0 ] || echo "nfsd threads $threads"
systemctl list-units --plain --no-legend --state=active,activating,deactivating,failed 'drbdnfs-*.service' | sed 's/ .*//; s/^/unit /' | grep -v drbdnfs-state.service
case $(readlink -f /var/lib/nfs) in
%[1]s*) echo "/var/lib/nfs on the volume" ;;
esac
[ -d /var/lib/nfs/. ] || echo "/var/lib/nfs dangling"
[ -s /var/lib/nfs/etab ] && grep -q %[3]s /var/lib/nfs/etab && echo "export in etab"
role=$(drbdadm role %[4]s 2>/dev/null | cut -d/ -f1)
[ "$role" = Primary ] && echo "DRBD Primary"
for d in rpc.mountd rpc.statd nfsdcld; do pidof $d >/dev/null && echo "daemon $d"; done
true
`, cluster.Mount, rig.VIP, cluster.Export, cluster.DRBD)

// Leftovers lists what a node holds of the service: mount, address, port block,
// nfsd threads, units, state link, exports, DRBD's role, daemons. The unit that
// repairs the state link at boot is no part of it.
func (e *Env) Leftovers(ctx context.Context, node string) ([]string, error) {
	out, err := e.Rig.SSH(ctx, node, leftoversScript)
	if err != nil {
		return nil, err
	}
	var left []string
	for l := range linesOf(out) {
		left = append(left, l)
	}
	return left, nil
}

// OnPassive lists what a started, not promoted node holds of the service and
// must not hold: the id mapper alone stays ready there.
func (e *Env) OnPassive(ctx context.Context, node string) ([]string, error) {
	left, err := e.Leftovers(ctx, node)
	return slices.DeleteFunc(left, func(l string) bool { return l == "unit drbdnfs-idmapd.service" }), err
}

// linesOf yields the non-empty lines of a text, trimmed.
func linesOf(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}
