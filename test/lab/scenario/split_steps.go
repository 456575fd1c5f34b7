package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// splitReady brings the lab to the group that drbdnfs setup has made, with the
// daemon on both nodes and the policy manual. It returns both nodes.
func (t *T) splitReady(ctx context.Context) (active, passive string, err error) {
	if active, err = t.readySetup(ctx); err != nil {
		return "", "", err
	}
	t.Cleanup(func(ctx context.Context) {
		_ = t.Cluster.Both(ctx, "nft delete table inet labsplit 2>/dev/null; sed -i '/^\\[split_brain\\]/,$d' /etc/drbdnfs/drbdnfs.toml; systemctl start drbdnfsd; true")
		_, _ = t.Rig.SSH(ctx, active, "crm_attribute --name maintenance-mode --delete")
	})
	if err := t.Cluster.Both(ctx, "systemctl is-active -q drbdnfsd"); err != nil {
		return "", "", fmt.Errorf("drbdnfsd does not run: %w", err)
	}
	return active, rig.Peer(active), t.setPolicy(ctx, "manual", "")
}

// setPolicy writes the policy into the configuration of both nodes and waits
// until both daemons go by it.
func (t *T) setPolicy(ctx context.Context, policy, more string) error {
	if err := t.writePolicy(ctx, policy, more); err != nil {
		return err
	}
	return t.awaitPolicy(ctx, policy)
}

// writePolicy writes the policy, and further lines, on both nodes.
func (t *T) writePolicy(ctx context.Context, policy, more string) error {
	script := fmt.Sprintf(`f=/etc/drbdnfs/drbdnfs.toml
sed '/^\[split_brain\]/,$d' $f >$f.new
printf '[split_brain]\npolicy = "%%s"\n%%b' '%s' '%s' >>$f.new
chmod 600 $f.new && mv $f.new $f`, policy, more)
	return t.Cluster.Both(ctx, script)
}

// awaitPolicy waits until both daemons go by a policy.
func (t *T) awaitPolicy(ctx context.Context, policy string) error {
	return t.onBoth(ctx, "the policy "+policy, 30*time.Second, `drbdnfs_discard_policy_info{name="res0",policy="`+policy+`"} 1`)
}

// metrics returns what a node's daemon exposes.
func (t *T) metrics(ctx context.Context, node string) (string, error) {
	return t.Rig.SSH(ctx, node, `python3 -c 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:19942/metrics", timeout=10).read().decode())'`)
}

// shows waits until a node's metrics have a line that begins with each of want.
func (t *T) shows(ctx context.Context, node, what string, limit time.Duration, want ...string) error {
	return rig.Poll(ctx, node+": "+what, limit, 500*time.Millisecond, func(ctx context.Context) error {
		text, err := t.metrics(ctx, node)
		if err != nil {
			return err
		}
		for _, w := range want {
			if !strings.Contains("\n"+text, "\n"+w) {
				return fmt.Errorf("%w: no %s in:\n%s", errNot, w, grep(text, "drbdnfs_split_brain"))
			}
		}
		return nil
	})
}

// onBoth is shows for both nodes.
func (t *T) onBoth(ctx context.Context, what string, limit time.Duration, want ...string) error {
	return t.Cluster.EachNode(ctx, func(ctx context.Context, node string) error {
		return t.shows(ctx, node, what, limit, want...)
	})
}

// grep returns the lines that hold a word and are not about nothing.
func grep(text, word string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) && !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, " 0\n") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

// phase waits until a node is in a phase, and its metric of the split brain says
// the same.
func (t *T) phase(ctx context.Context, node, phase string, limit time.Duration) error {
	conn, id := rig.Peer(node), "0" // the file of setup numbers the nodes from 0
	if conn == rig.Node2 {
		id = "1"
	}
	if t.Cluster.DRBD9 == "" {
		conn, id = "peer", "0" // DRBD 8.4 has no names for peers
	}
	labels, found := fmt.Sprintf(`conn_name=%q,name="res0",peer_node_id=%q`, conn, id), 1
	if phase == "none" {
		found = 0
	}
	return t.shows(ctx, node, "phase "+phase, limit,
		fmt.Sprintf("drbdnfs_split_brain_phase{%s,phase=%q} 1", labels, phase), fmt.Sprintf("drbdnfs_split_brain{%s} %d", labels, found))
}

// cut drops DRBD's packets between the nodes, and nothing else's.
func (t *T) cut(ctx context.Context, passive string) error {
	const table = `nft -f - <<'END'
table inet labsplit {
	chain in { type filter hook input priority -10; tcp dport 7000 drop; tcp sport 7000 drop; }
	chain out { type filter hook output priority -10; tcp dport 7000 drop; tcp sport 7000 drop; }
}
END`
	if _, err := t.Rig.SSH(ctx, passive, table); err != nil {
		return err
	}
	return rig.Poll(ctx, "DRBD to lose its peer", time.Minute, 500*time.Millisecond, func(ctx context.Context) error {
		for _, node := range rig.Nodes() {
			out, err := t.Rig.SSH(ctx, node, "drbdadm cstate res0")
			if err != nil {
				return err
			}
			if strings.Contains(out, "Connected") {
				return fmt.Errorf("%w: %s", errNot, strings.TrimSpace(out))
			}
		}
		return nil
	})
}

// diverge has both nodes write without each other: the clients on the active
// one, somebody on the passive one. The link stays cut. The file of the passive
// node is called lost-TAG.
func (t *T) diverge(ctx context.Context, active, passive, tag string) error {
	if _, err := t.Rig.SSH(ctx, active, "crm_attribute --name maintenance-mode --update true"); err != nil {
		return err
	}
	if err := t.cut(ctx, passive); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, passive, fmt.Sprintf(`set -e
drbdadm primary res0
mkdir -p /run/lab-mount && mount -t xfs /dev/drbd1000 /run/lab-mount
echo "written on %[1]s" >/run/lab-mount/user-data/lost-%[2]s
dd if=/dev/urandom of=/run/lab-mount/user-data/lost-more-%[2]s bs=1M count=2 status=none
sync; umount /run/lab-mount; drbdadm secondary res0`, passive, tag)); err != nil {
		return fmt.Errorf("write on the passive node: %w", err)
	}
	if _, err := t.Rig.SSH(ctx, rig.Client, fmt.Sprintf(`set -e
echo "written by the client" >%[1]s/kept-%[2]s
dd if=/dev/urandom of=%[1]s/kept-more-%[2]s bs=1M count=8 conv=fsync status=none`, mountV3, tag)); err != nil {
		return fmt.Errorf("write on the active node: %w", err)
	}
	_, err := t.Rig.SSH(ctx, active, "crm_attribute --name maintenance-mode --delete")
	return err
}

// mend takes the cut away; DRBD meets its peer and finds the split brain.
func (t *T) mend(ctx context.Context, passive string) (time.Time, error) {
	_, err := t.Rig.SSH(ctx, passive, "nft delete table inet labsplit; drbdadm connect res0 2>/dev/null; true")
	return time.Now(), err
}

// byHand resolves a split brain as the procedure does.
func (t *T) byHand(ctx context.Context, victim, survivor string) error {
	if _, err := t.Rig.SSH(ctx, victim, "drbdadm disconnect res0 2>/dev/null; drbdadm secondary res0 && drbdadm connect --discard-my-data res0"); err != nil {
		return err
	}
	_, err := t.Rig.SSH(ctx, survivor, "drbdadm disconnect res0 2>/dev/null; drbdadm connect res0")
	return err
}

// whole waits until the nodes are connected and in sync, and no split brain is
// known any more.
func (t *T) whole(ctx context.Context) error {
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	return t.Cluster.EachNode(ctx, func(ctx context.Context, node string) error { return t.phase(ctx, node, "none", time.Minute) })
}

// stamps returns when something was logged on a node, as journald saw it.
func (t *T) stamps(ctx context.Context, node, match string) ([]time.Time, error) {
	out, err := t.Rig.SSH(ctx, node, "journalctl -q -b -o json --no-pager "+match+" || true")
	if err != nil {
		return nil, err
	}
	var at []time.Time
	for line := range strings.Lines(out) {
		var e struct {
			Time string `json:"__REALTIME_TIMESTAMP"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, err
		}
		us, err := strconv.ParseInt(e.Time, 10, 64)
		if err != nil {
			return nil, err
		}
		at = append(at, time.UnixMicro(us))
	}
	return at, nil
}

// foundWithin checks that each node's daemon told of the last split brain soon
// after the kernel did: the node's own, or its peer's where the connection was
// gone before the node had compared anything. A daemon may be first, where the
// identifiers have proven it before the nodes meet.
func (t *T) foundWithin(ctx context.Context, limit time.Duration) error {
	kernel := map[string]time.Time{}
	err := rig.Poll(ctx, "the kernel's word of the split brain", time.Minute, time.Second, func(ctx context.Context) error {
		for _, node := range rig.Nodes() {
			at, err := t.stamps(ctx, node, "-k --grep 'Split-Brain detected but unresolved'")
			if err != nil {
				return err
			}
			if len(at) > 0 {
				kernel[node] = at[len(at)-1]
			}
		}
		if len(kernel) == 0 {
			return errNot
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, node := range rig.Nodes() {
		daemon, err := t.stamps(ctx, node, "MESSAGE_ID="+journal.SplitBrainFound)
		if err != nil {
			return err
		}
		word, own := kernel[node]
		if !own {
			for _, word = range kernel {
				t.Logf("%s: only the peer's kernel has said it", node)
			}
		}
		if !t.Check(len(daemon) > 0, "%s: the daemon has not told of it", node) {
			continue
		}
		took := daemon[len(daemon)-1].Sub(word)
		t.Logf("%s: the daemon told of it %.2f s after the kernel", node, took.Seconds())
		t.Check(took < limit && took > -2*time.Minute, "%s: found %.2f s after the kernel's word, want at most %v", node, took.Seconds(), limit)
	}
	return nil
}

// lostFile reads a file of the discarded data in the newest snapshot.
func (t *T) lostFile(ctx context.Context, node, tag string) error {
	out, err := t.Rig.SSH(ctx, node, fmt.Sprintf(`set -e
dev=$(drbdnfs split-brain snapshots --json | jq -rs 'sort_by(.made) | last | .device')
mkdir -p /run/lab-mount
mount -t xfs -o ro,norecovery,nouuid $dev /run/lab-mount
cat /run/lab-mount/user-data/lost-%s
umount /run/lab-mount
drbdnfs split-brain snapshots`, tag))
	if err != nil {
		return fmt.Errorf("read the snapshot: %w", err)
	}
	t.Logf("%s: %s", node, strings.ReplaceAll(strings.TrimSpace(out), "\n", "\n           "))
	t.Check(strings.Contains(out, "written on "+node), "the discarded file is not in the snapshot:\n%s", out)
	return nil
}

// removeSnapshots removes all snapshots of a node, as an administrator would.
func (t *T) removeSnapshots(ctx context.Context, node string) error {
	_, err := t.Rig.SSH(ctx, node, "for s in $(drbdnfs split-brain snapshots --json | jq -r .name); do drbdnfs split-brain snapshots rm --yes $s; done; [ -z \"$(drbdnfs split-brain snapshots --json)\" ]")
	return err
}

// survived checks through the client what is there and what is gone.
func (t *T) survived(ctx context.Context, tag string) {
	out, err := t.Rig.SSH(ctx, rig.Client, fmt.Sprintf("cd %s && cat kept-%s && ls", mountV3, tag))
	t.Check(err == nil && strings.Contains(out, "written by the client"), "the survivor's file: %v\n%s", err, out)
	t.Check(!strings.Contains(out, "lost-"+tag), "the victim's file is there:\n%s", out)
}

// observe gives the daemons time for what they must not do. Nothing that could be
// waited for tells that they have not done it.
func observe(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// untouched checks that no node has discarded anything.
func (t *T) untouched(ctx context.Context) error {
	for _, node := range rig.Nodes() {
		at, err := t.stamps(ctx, node, "MESSAGE_ID="+journal.SplitBrainDiscarded)
		if err != nil {
			return err
		}
		t.Check(len(at) == t.discards[node], "%s discarded data %d times, want %d", node, len(at), t.discards[node])
	}
	return nil
}
