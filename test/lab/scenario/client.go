package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/load"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Mount points of the client, one for each protocol.
const (
	mountV3 = "/mnt/v3"
	mountV4 = "/mnt/v4"
)

// procedureOptions are the mount options of the procedure's fstab line, less fsc.
const procedureOptions = "rw,hard,noatime,vers=3,rsize=32768,wsize=32768"

// writeEvery is the pace of the writing client.
const writeEvery = "20ms"

// mountScript mounts both protocols unless they are mounted. $fsc says whether
// the client's kernel takes the procedure's fsc.
var mountScript = fmt.Sprintf(`set -e
mkdir -p %[1]s %[2]s
systemctl start rpcbind rpc-statd
if ! mountpoint -q %[1]s; then
	if mount -t nfs -o %[3]s,fsc %[4]s:%[5]s %[1]s 2>/run/lab-fsc; then echo "fsc accepted"
	else echo "fsc refused ($(tail -n 1 /run/lab-fsc)): mounting without it"; mount -t nfs -o %[3]s %[4]s:%[5]s %[1]s; fi
fi
mountpoint -q %[2]s || mount -t nfs -o rw,hard,vers=4.2 %[4]s:%[5]s %[2]s
`, mountV3, mountV4, procedureOptions, rig.VIP, cluster.Export)

// MountClient mounts the service on the client with the procedure's options (v3)
// and with v4.2; what is mounted stays.
func (t *T) MountClient(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	out, err := t.Rig.SSH(ctx, rig.Client, mountScript)
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if s := strings.TrimSpace(out); s != "" {
		t.Logf("client: %s", s)
	}
	return nil
}

// UnmountClient unmounts both, by force when the server does not answer.
func (e *Env) UnmountClient(ctx context.Context) error {
	_, err := e.Rig.SSH(ctx, rig.Client, fmt.Sprintf(`for m in %s %s; do
	mountpoint -q $m || continue
	timeout 30 umount $m || umount -f $m || umount -l $m
done`, mountV3, mountV4))
	return err
}

// protocols are what the client mounts, in the order of its mounts.
var protocols = []string{"v3", "v4.2"}

// Load is a writing client on one mount.
type Load struct {
	Proto      string // one of protocols
	file, acks string
	unit       string
}

// StartLoads starts a writer on each protocol and waits until both write. Before
// that the client takes an NFSv3 lock and gives it back, as most have done at
// some time: lockd goes on watching it, and has to let go of it in a move.
func (t *T) StartLoads(ctx context.Context) ([]*Load, error) {
	if _, err := t.Rig.SSH(ctx, rig.Client, "timeout 60 flock --exclusive "+mountV3+"/lab-lock true"); err != nil {
		return nil, fmt.Errorf("lock through NFSv3: %w", err)
	}
	var loads []*Load
	tag := time.Now().Format("150405.000")
	for i, dir := range []string{mountV3, mountV4} {
		name := t.Name + "-" + protocols[i] + "-" + tag
		l := &Load{
			Proto: protocols[i],
			file:  filepath.Join(dir, "load-"+name),
			acks:  "/var/tmp/load-" + name,
			unit:  "lab-load-" + name,
		}
		script := fmt.Sprintf("systemd-run -q --collect --unit=%s -p TimeoutStopSec=300 -p SendSIGKILL=no /root/nfsload write %s %s %s", l.unit, l.file, l.acks, writeEvery)
		if _, err := t.Rig.SSH(ctx, rig.Client, script); err != nil {
			return nil, err
		}
		t.Cleanup(func(ctx context.Context) {
			_, _ = t.Rig.SSH(ctx, rig.Client, "systemctl kill -s KILL "+l.unit+" 2>/dev/null; rm -f "+l.acks+"; timeout 10 rm -f "+l.file+" || true")
		})
		loads = append(loads, l)
	}
	return loads, t.WaitWriting(ctx, loads, time.Now(), time.Minute)
}

// Report summarises a load since a time on this machine's clock.
func (t *T) Report(ctx context.Context, l *Load, since time.Time) (load.Report, error) {
	offset, err := t.clientOffset(ctx)
	if err != nil {
		return load.Report{}, err
	}
	var r load.Report
	out, err := t.Rig.SSH(ctx, rig.Client, fmt.Sprintf("/root/nfsload report %s %d", l.acks, since.Add(offset).UnixNano()))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return r, err
	}
	r.Last, r.GapStart, r.GapEnd = r.Last.Add(-offset), r.GapStart.Add(-offset), r.GapEnd.Add(-offset)
	return r, nil
}

// clientOffset measures the client's clock once per run of a scenario: the
// client is never restarted.
func (t *T) clientOffset(ctx context.Context) (time.Duration, error) {
	if t.clientClock == nil {
		offset, err := t.Cluster.ClockOffset(ctx, rig.Client)
		if err != nil {
			return 0, err
		}
		t.clientClock = &offset
	}
	return *t.clientClock, nil
}

// WaitWriting waits until each load has an acknowledgement from later than a time.
func (t *T) WaitWriting(ctx context.Context, loads []*Load, later time.Time, limit time.Duration) error {
	for _, l := range loads {
		err := rig.Poll(ctx, "the "+l.Proto+" client to write", limit, 500*time.Millisecond, func(ctx context.Context) error {
			r, err := t.Report(ctx, l, later)
			if err == nil && !r.Last.After(later) {
				err = fmt.Errorf("last of %d acknowledged writes %.1f s ago", r.Acked, time.Since(r.Last).Seconds())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// StopLoads ends the writers and checks that every acknowledged write is there,
// in order and intact, as the server has it now.
func (t *T) StopLoads(ctx context.Context, loads []*Load) error {
	for _, l := range loads {
		if _, err := t.Rig.SSH(ctx, rig.Client, "systemctl stop "+l.unit); err != nil {
			return err
		}
		out, err := t.Rig.SSH(ctx, rig.Client, fmt.Sprintf("sync; echo 3 >/proc/sys/vm/drop_caches; /root/nfsload verify %s %s 2>&1", l.file, l.acks))
		if !t.Check(err == nil, "data of the %s client: %v", l.Proto, err) {
			continue
		}
		t.Logf("%-4s data: %s", l.Proto, strings.TrimSpace(out))
	}
	return nil
}
