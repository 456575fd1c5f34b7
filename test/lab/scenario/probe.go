package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// probeEnv is the environment of a probe of a group that this node has never
// heard of: nothing in it may be mistaken for the lab's own group.
const probeEnv = `export OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RA_VERSION_MINOR=1 OCF_RESOURCE_INSTANCE=bare
export OCF_RESOURCE_PROVIDER=spacei OCF_RESOURCE_TYPE=drbdnfs OCF_RESKEY_CRM_meta_timeout=60000 OCF_RESKEY_CRM_meta_interval=0
export OCF_RESKEY_drbd_resource=bare0 OCF_RESKEY_directory=/srv/bare OCF_RESKEY_vips=192.168.2.99/24@ens3
export OCF_RESKEY_exports='/srv/bare/data 192.168.2.0/24(rw)'
`

// bareCase is one node state in which a probe must say "not running".
type bareCase struct {
	name   string
	script string // prints "exit=CODE" last
}

func bareCases() []bareCase {
	return []bareCase{
		{"no DRBD configuration", probeEnv + fmt.Sprintf(`
unshare -m sh -c 'mount -t tmpfs none /etc/drbd.d; exec %s monitor' 2>&1
echo "exit=$?"`, cluster.AgentBin)},
		{"no directory of ours, no packages", probeEnv + fmt.Sprintf(`
root=$(mktemp -d)
unshare -m sh -c 'mount -t tmpfs none "$0"; cd "$0" && mkdir -p proc sys dev run tmp etc bin var/lib home && cp %s bin/agent
mount -t proc proc proc; mount -t sysfs sys sys; mount --bind /dev dev; exec chroot . /bin/agent monitor' "$root" 2>&1
code=$?
rmdir "$root"
echo "exit=$code"`, cluster.AgentBin)},
		{"binaries hidden", probeEnv + fmt.Sprintf(`
cp %s /run/lab-agent
unshare -m sh -c 'for f in /usr/sbin/drbdadm /usr/sbin/drbdsetup /usr/sbin/rpc.nfsd /usr/sbin/exportfs /usr/sbin/rpc.mountd /usr/sbin/nfsdcld; do mount --bind /dev/null $f; done; exec /run/lab-agent monitor' 2>&1
echo "exit=$?"
rm -f /run/lab-agent`, cluster.AgentBin)},
	}
}

// probeBare is scenario 8.
func probeBare(ctx context.Context, t *T) error {
	active, err := t.Ready(ctx)
	if err != nil {
		return err
	}
	passive := rig.Peer(active)
	for _, c := range bareCases() {
		out, err := t.Rig.SSH(ctx, passive, c.script)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		got := lines[len(lines)-1]
		if t.Check(got == "exit=7", "%s: the probe's %s, want exit=7 (not running)\n%s", c.name, got, out) {
			t.Logf("%s: not running (7)", c.name)
		}
	}
	if err := t.metaData(ctx, passive); err != nil {
		return err
	}
	return t.probeAfterReset(ctx, active)
}

// metaData asserts that the meta-data action needs nothing: no user, no
// environment, no second.
func (t *T) metaData(ctx context.Context, node string) error {
	out, err := t.Rig.SSH(ctx, node, fmt.Sprintf(`cd /
begin=$(date +%%s%%N)
setpriv --reuid nobody --regid nogroup --clear-groups env -i %s meta-data >/tmp/lab-meta.xml || exit 1
echo "$(( ($(date +%%s%%N) - begin) / 1000000 ))"
xmllint --noout --nonet /tmp/lab-meta.xml`, cluster.AgentBin))
	if err != nil {
		return fmt.Errorf("meta-data as nobody with an empty environment: %w", err)
	}
	ms := 0
	if _, err := fmt.Sscan(out, &ms); err != nil {
		return err
	}
	t.Logf("meta-data as nobody with an empty environment: %d ms in the emulated machine", ms)
	t.Check(ms < 1000, "meta-data took %d ms", ms)
	return nil
}

// probeAfterReset kills the active node and probes it after its boot, before the
// cluster runs there: what the reset left on disk (the state link, exports, an
// unclean file system) must not look like a running service.
func (t *T) probeAfterReset(ctx context.Context, active string) error {
	if err := t.UnmountClient(ctx); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, active, "systemctl -q disable corosync pacemaker; sync"); err != nil {
		return err
	}
	if err := t.Rig.Kill(active); err != nil {
		return err
	}
	if err := t.Rig.Boot(ctx, active); err != nil {
		return err
	}
	code, text, err := t.Agent(ctx, active, "monitor", "export OCF_RESKEY_CRM_meta_interval=0\n")
	if err != nil {
		return err
	}
	if t.Check(code == 7, "the probe after a reset says %d, want 7\n%s", code, text) {
		t.Logf("after a reset of the active node: not running (7)")
	}
	// The package's boot unit repairs the state link; a copied agent has none.
	if _, err := t.Rig.SSH(ctx, active, "! [ -e /usr/lib/systemd/system/drbdnfs-state.service ] || [ -d /var/lib/nfs/. ]"); err != nil {
		t.Check(false, "/var/lib/nfs leads nowhere after a reset")
	}
	if _, err := t.Rig.SSH(ctx, active, "systemctl -q enable corosync pacemaker; systemctl start corosync pacemaker"); err != nil {
		return err
	}
	begin := time.Now()
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	t.Logf("the node is a passive one %.0f s after its cluster was started", time.Since(begin).Seconds())
	return t.checkPassive(ctx, active)
}
