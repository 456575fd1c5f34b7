package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/load"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// mountOther is the mount of the client machine's second NFS client: it lives in
// a network namespace with an address and an NFSv4 client identifier of its own,
// so for the server it is another machine.
const mountOther = "/mnt/other"

// otherScript makes that second client.
var otherScript = fmt.Sprintf(`set -e
modprobe nfsv4
if ! [ -e /run/netns/other ]; then
	ip netns add other
	ip link add other0 link ens3 type macvlan mode bridge
	ip link set other0 netns other
	ip -n other addr add 192.168.2.65/24 dev other0
	ip -n other link set other0 up
	ip -n other link set lo up
fi
ip netns exec other sh -c 'echo lab-other >/sys/fs/nfs/net/nfs_client/identifier; grep -q lab-other /sys/fs/nfs/net/nfs_client/identifier'
mkdir -p %[1]s
mountpoint -q %[1]s || nsenter --net=/run/netns/other mount -t nfs -o rw,hard,vers=4.2 %[2]s:%[3]s %[1]s
`, mountOther, rig.VIP, cluster.Export)

// lockRun is one process that holds or contends for a lock.
type lockRun struct {
	what, dir, file string // what: hold or contend
	unit            string
}

func (l lockRun) log() string { return "/var/tmp/" + l.unit }

func (l lockRun) String() string { return fmt.Sprintf("%s of %s on %s", l.what, l.file, l.dir) }

// locks is scenario 4. Three locks are held, each contended for by a client of
// another identity and, where that can be, of another protocol; the server keeps
// locks of v3 and v4 in one table.
func locks(ctx context.Context, t *T) error {
	active, err := t.Ready(ctx)
	if err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, rig.Client, otherScript); err != nil {
		return fmt.Errorf("second client: %w", err)
	}
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, rig.Client, fmt.Sprintf("timeout 30 umount %[1]s || umount -f -l %[1]s", mountOther))
	})
	holders, contenders, err := t.startLocks(ctx)
	if err != nil {
		return err
	}
	if err := t.checkLocks(ctx, holders, contenders, t.begin, "before any failover"); err != nil {
		return err
	}
	begin := time.Now()
	if _, err := t.crashRound(ctx, active, nil); err != nil {
		return err
	}
	if err := t.checkLocks(ctx, holders, contenders, begin, "across the crash"); err != nil {
		return err
	}
	begin = time.Now()
	active = rig.Peer(active)
	if _, err := t.moveRound(ctx, active, nil); err != nil {
		return err
	}
	if err := t.checkLocks(ctx, holders, contenders, begin, "across the move"); err != nil {
		return err
	}
	return t.releaseLocks(ctx, holders, contenders)
}

func (t *T) startLocks(ctx context.Context) (holders, contenders []lockRun, err error) {
	tag := time.Now().Format("150405")
	for i, pair := range []struct{ holder, contender string }{{mountV3, mountOther}, {mountV4, mountOther}, {mountOther, mountV3}} {
		file := fmt.Sprintf("lock-%s-%d", tag, i)
		holders = append(holders, lockRun{"hold", pair.holder, file, fmt.Sprintf("lab-hold-%s-%d", tag, i)})
		contenders = append(contenders, lockRun{"contend", pair.contender, file, fmt.Sprintf("lab-contend-%s-%d", tag, i)})
	}
	for _, l := range append(append([]lockRun{}, holders...), contenders...) {
		script := fmt.Sprintf("systemd-run -q --collect --unit=%s -p TimeoutStopSec=60 /root/nfsload %s %s/%s %s 200ms", l.unit, l.what, l.dir, l.file, l.log())
		if _, err := t.Rig.SSH(ctx, rig.Client, script); err != nil {
			return nil, nil, err
		}
		t.Cleanup(func(ctx context.Context) {
			_, _ = t.Rig.SSH(ctx, rig.Client, "systemctl kill -s KILL "+l.unit+" 2>/dev/null; rm -f "+l.log())
		})
		// The holder owns the lock before its contender starts.
		if l.what == "hold" {
			if err := t.waitLock(ctx, l, "held", time.Now().Add(-time.Second)); err != nil {
				return nil, nil, err
			}
		}
	}
	return holders, contenders, nil
}

// lockEvents reads the log of a holder or contender since a time on this
// machine's clock.
func (t *T) lockEvents(ctx context.Context, l lockRun, since time.Time) ([]load.LockEvent, error) {
	offset, err := t.clientOffset(ctx)
	if err != nil {
		return nil, err
	}
	text, err := t.Rig.SSH(ctx, rig.Client, "cat "+l.log())
	if err != nil {
		return nil, err
	}
	var events []load.LockEvent
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		var ev load.LockEvent
		if json.Unmarshal(sc.Bytes(), &ev) != nil {
			continue // the line that is being written
		}
		if ev.At = ev.At.Add(-offset); !ev.At.Before(since) {
			events = append(events, ev)
		}
	}
	return events, nil
}

// waitLock waits until a log has an event of a kind since a time.
func (t *T) waitLock(ctx context.Context, l lockRun, what string, since time.Time) error {
	return rig.Poll(ctx, fmt.Sprintf("%s to be %s", l, what), 3*time.Minute, 500*time.Millisecond, func(ctx context.Context) error {
		events, err := t.lockEvents(ctx, l, since)
		if err != nil {
			return err
		}
		counts := countEvents(events)
		if counts[what] == 0 {
			return fmt.Errorf("%w: %v", errNot, counts)
		}
		return nil
	})
}

func countEvents(events []load.LockEvent) map[string]int {
	counts := map[string]int{}
	for _, ev := range events {
		counts[ev.What]++
	}
	return counts
}

// checkLocks waits until every holder has written under its lock and every
// contender has been told no since now, and asserts that since begin no holder
// lost its lock and no contender was granted it.
func (t *T) checkLocks(ctx context.Context, holders, contenders []lockRun, begin time.Time, when string) error {
	now := time.Now()
	for _, h := range holders {
		if err := t.waitLock(ctx, h, "held", now); err != nil {
			t.Check(false, "%s: %v", when, err)
			continue
		}
		events, err := t.lockEvents(ctx, h, begin)
		if err != nil {
			return err
		}
		c := countEvents(events)
		t.Check(c["lost"] == 0, "%s: %s lost its lock %d times", when, h, c["lost"])
		t.Logf("%s: %s: still held (%d writes under it)", when, h, c["held"])
	}
	for _, l := range contenders {
		if err := t.waitLock(ctx, l, "denied", now); err != nil {
			t.Check(false, "%s: %v", when, err)
			continue
		}
		events, err := t.lockEvents(ctx, l, begin)
		if err != nil {
			return err
		}
		c := countEvents(events)
		t.Check(c["granted"] == 0, "%s: %s was granted the lock %d times", when, l, c["granted"])
		t.Check(c["error"] == 0, "%s: %s met errors: %v", when, l, events)
		t.Logf("%s: %s: denied %d times, granted %d times", when, l, c["denied"], c["granted"])
	}
	return nil
}

// releaseLocks ends the holders; each contender must then get the lock, or the
// contention was never real.
func (t *T) releaseLocks(ctx context.Context, holders, contenders []lockRun) error {
	now := time.Now()
	for _, h := range holders {
		if _, err := t.Rig.SSH(ctx, rig.Client, "systemctl stop "+h.unit); err != nil {
			return err
		}
	}
	for _, l := range contenders {
		if err := t.waitLock(ctx, l, "granted", now); err != nil {
			return fmt.Errorf("after the holder's end: %w", err)
		}
		if _, err := t.Rig.SSH(ctx, rig.Client, "systemctl stop "+l.unit); err != nil {
			return err
		}
	}
	t.Logf("after the holders' end each contender was granted its lock")
	return nil
}
