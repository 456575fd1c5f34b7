package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/pkg/status"
	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// answerLimit bounds "drbdnfs status" here. The promise is 2 s; ssh and the
// start of programs in an emulated machine come on top.
const answerLimit = 6 * time.Second

// said is what a command of the administrator has printed, and how it ended.
type said struct {
	out  string
	code int
	took time.Duration
}

// drbdnfs runs the administrator's command on a node. Only a run that could not
// be started or watched is an error.
func (t *T) drbdnfs(ctx context.Context, node, args string) (said, error) {
	begin := time.Now()
	out, err := t.Rig.SSH(ctx, node, "drbdnfs "+args+" 2>&1")
	s := said{out: out, code: rig.ExitCode(err), took: time.Since(begin)}
	if err != nil && (s.code < 0 || s.code == 255) {
		return s, err
	}
	return s, nil
}

// does runs the command and checks how it ends and what it says.
func (t *T) does(ctx context.Context, node, args string, code int, want ...string) (said, error) {
	s, err := t.drbdnfs(ctx, node, args)
	if err != nil {
		return s, err
	}
	t.Logf("%s: drbdnfs %s: %d after %.1f s", node, args, s.code, s.took.Seconds())
	t.Check(s.code == code, "drbdnfs %s on %s ended with %d, want %d:\n%s", args, node, s.code, code, s.out)
	for _, w := range want {
		t.Check(strings.Contains(s.out, w), "drbdnfs %s on %s does not say %q:\n%s", args, node, w, s.out)
	}
	return s, nil
}

// picture is what "drbdnfs status" of a node says.
func (t *T) picture(ctx context.Context, node string) (status.Picture, error) {
	s, err := t.drbdnfs(ctx, node, "status --json")
	if err != nil {
		return status.Picture{}, err
	}
	t.Check(s.took < answerLimit, "drbdnfs status on %s took %.1f s", node, s.took.Seconds())
	var p status.Picture
	if err := json.Unmarshal([]byte(s.out), &p); err != nil {
		return p, fmt.Errorf("drbdnfs status --json on %s ended with %d: %w: %s", node, s.code, err, s.out)
	}
	return p, nil
}

// found waits until the status of a node has a finding with that word, and logs
// what it says.
func (t *T) found(ctx context.Context, node, word string, limit time.Duration) error {
	return rig.Poll(ctx, "drbdnfs status on "+node+" to say "+word, limit, 2*time.Second, func(ctx context.Context) error {
		p, err := t.picture(ctx, node)
		if err != nil {
			return err
		}
		var words []string
		for _, f := range p.Findings {
			if words = append(words, string(f.Word)); string(f.Word) == word {
				t.Logf("status on %s: %s: %s; %s; do: %s", node, p.Level, f.What, f.Why, f.Remedy)
				return nil
			}
		}
		return fmt.Errorf("%w: %s, %v", errNot, p.Level, words)
	})
}

// statusHealthy waits until the status of a node is without a finding. An emulated
// machine that has just been set up may be too busy for the first answer.
func (t *T) statusHealthy(ctx context.Context, node, active string) error {
	return rig.Poll(ctx, "drbdnfs status on "+node+" to be healthy", time.Minute, time.Second, func(ctx context.Context) error {
		s, err := t.drbdnfs(ctx, node, "status")
		if err == nil && (s.code != 0 || !strings.Contains(s.out, "HEALTHY") || !strings.Contains(s.out, active)) {
			err = fmt.Errorf("%w: %d\n%s", errNot, s.code, s.out)
		}
		return err
	})
}

// operate is the scenario: what an administrator does with a group that runs.
func operate(ctx context.Context, t *T) error {
	active, err := t.readySetup(ctx)
	if err != nil {
		return err
	}
	passive := rig.Peer(active)
	for _, node := range rig.Nodes() {
		if err := t.statusHealthy(ctx, node, active); err != nil {
			return err
		}
	}
	if err := t.moveByCommand(ctx, active, passive); err != nil {
		return err
	}
	if err := t.standbyByCommand(ctx, active, passive); err != nil {
		return err
	}
	if err := t.lookByCommand(ctx, active, passive); err != nil {
		return err
	}
	if err := t.growByCommand(ctx, active); err != nil {
		return err
	}
	return t.statusOfFaults(ctx, active, passive)
}

// moveByCommand moves the service there and back while clients write.
func (t *T) moveByCommand(ctx context.Context, active, passive string) error {
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if _, err := t.does(ctx, passive, "move", 0); err != nil {
		return err
	}
	if err := t.waitPromoted(ctx, passive); err != nil {
		return err
	}
	if err := t.WaitWriting(ctx, loads, time.Now(), backLimit); err != nil {
		return err
	}
	stalls, err := t.stallsSince(ctx, loads, begin)
	if err != nil {
		return err
	}
	t.stood("move by command", stalls)
	t.checkMove(stalls)
	if _, err := t.does(ctx, passive, "move "+passive, 0); err != nil { // is there already
		return err
	}
	if _, err := t.does(ctx, active, "failback", 0); err != nil {
		return err
	}
	if err := t.waitPromoted(ctx, active); err != nil {
		return err
	}
	out, err := t.Rig.SSH(ctx, active, "cibadmin --query --scope constraints")
	if err != nil {
		return err
	}
	t.Check(strings.Count(out, "<rsc_location ") == 1, "constraints are left behind:\n%s", out)
	return t.StopLoads(ctx, loads)
}

// standbyByCommand puts the passive node into standby, where no move may go.
func (t *T) standbyByCommand(ctx context.Context, active, passive string) error {
	if _, err := t.does(ctx, active, "standby "+passive, 0); err != nil {
		return err
	}
	if err := t.found(ctx, active, "node-standby", 30*time.Second); err != nil {
		return err
	}
	if _, err := t.does(ctx, active, "move "+passive, 1, "standby"); err != nil {
		return err
	}
	if _, err := t.does(ctx, active, "standby", 1); err != nil { // the last one that serves
		return err
	}
	if _, err := t.does(ctx, active, "unstandby "+passive, 0); err != nil {
		return err
	}
	_, err := t.Cluster.WaitReady(ctx, readyLimit)
	return err
}

// lookByCommand looks with everything that only looks.
func (t *T) lookByCommand(ctx context.Context, active, passive string) error {
	if s, err := t.drbdnfs(ctx, active, "check"); err != nil {
		return err
	} else if !t.Check(s.code <= 1, "drbdnfs check on a healthy group ended with %d", s.code) || s.code > 0 {
		t.Logf("drbdnfs check:\n%s", s.out)
	}
	if _, err := t.does(ctx, active, "exports", 0, cluster.Export, "192.168.2.64"); err != nil {
		return err
	}
	if _, err := t.does(ctx, passive, "exports", 0, active); err != nil {
		return err
	}
	if _, err := t.does(ctx, active, "split-brain show", 0); err != nil {
		return err
	}
	if _, err := t.does(ctx, active, "bundle --output /root/lab-bundle.tar.gz", 0); err != nil {
		return err
	}
	out, err := t.Rig.SSH(ctx, active, `set -e
secret=$(grep -v '^#' /etc/drbdnfs/secret)
tar -tzf /root/lab-bundle.tar.gz | wc -l
[ "$(stat -c %a /root/lab-bundle.tar.gz)" = 600 ]
tar -xzOf /root/lab-bundle.tar.gz --wildcards '*/timeline.txt' | tail -n 3
! tar -xzOf /root/lab-bundle.tar.gz | grep -qF -- "$secret"
rm /root/lab-bundle.tar.gz`)
	t.Check(err == nil, "the bundle: %v", err)
	t.Logf("bundle: %s", strings.TrimSpace(out))
	page, err := t.Rig.SSH(ctx, active, "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:19942/\", timeout=10).read().decode())'")
	if err != nil {
		return err
	}
	t.Check(strings.Contains(page, active) && strings.Contains(page, "UpToDate"), "the status page does not show DRBD:\n%s", page)
	return nil
}

// growByCommand makes the volume larger on both nodes at once.
func (t *T) growByCommand(ctx context.Context, active string) error {
	const size = `df --output=size -BM ` + cluster.Mount + ` | tail -n 1 | tr -dc 0-9`
	before, err := t.Rig.SSH(ctx, active, size)
	if err != nil {
		return err
	}
	results := make([]said, len(rig.Nodes()))
	g, gctx := errgroup.WithContext(ctx)
	for i, node := range rig.Nodes() {
		g.Go(func() (err error) {
			results[i], err = t.drbdnfs(gctx, node, "grow 600M --yes")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, node := range rig.Nodes() {
		t.Check(results[i].code == 0, "drbdnfs grow on %s ended with %d:\n%s", node, results[i].code, results[i].out)
	}
	after, err := t.Rig.SSH(ctx, active, size)
	if err != nil {
		return err
	}
	t.Check(after > before && len(after) >= len(before), "the file system has %s MiB after, %s MiB before", after, before)
	t.Logf("file system: %s MiB, then %s MiB", strings.TrimSpace(before), strings.TrimSpace(after))
	if err := t.Cluster.Both(ctx, "sed -i 's/^size = .*/size = \"600M\"/' /etc/drbdnfs/drbdnfs.toml"); err != nil {
		return err
	}
	return t.nothingToDo(ctx)
}

// statusOfFaults asks for the status while something is broken.
func (t *T) statusOfFaults(ctx context.Context, active, passive string) error {
	for _, f := range []struct {
		what, node, breaks, mends, word string
	}{
		{"an administrator's disconnect", passive, "drbdadm disconnect res0", "drbdadm connect res0", "stand-alone"},
		{"the daemon", active, "systemctl stop drbdnfsd", "systemctl start drbdnfsd", "daemon-stopped"},
		{"Pacemaker", passive, "systemctl stop pacemaker", "systemctl start pacemaker", "pacemaker-stopped"},
	} {
		t.Logf("without %s", f.what)
		if _, err := t.Rig.SSH(ctx, f.node, f.breaks); err != nil {
			return err
		}
		if err := t.found(ctx, f.node, f.word, time.Minute); err != nil {
			return err
		}
		if _, err := t.Rig.SSH(ctx, f.node, f.mends); err != nil {
			return err
		}
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	return t.stopPacemaker(ctx, active, passive)
}

// stopLimit bounds the end of Pacemaker on a node that serves: the service has
// to stop here meanwhile.
const stopLimit = time.Minute

// stopPacemaker stops Pacemaker on the active node, as a reboot does: the
// service moves, and nothing waits for a timeout.
func (t *T) stopPacemaker(ctx context.Context, active, passive string) error {
	begin := time.Now()
	if _, err := t.Rig.SSH(ctx, active, "systemctl stop pacemaker"); err != nil {
		return err
	}
	took := time.Since(begin)
	t.Logf("Pacemaker on the active node stopped in %.1f s", took.Seconds())
	t.Check(took < stopLimit, "to stop Pacemaker on the active node took %.1f s", took.Seconds())
	if err := t.waitPromoted(ctx, passive); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, active, "systemctl start pacemaker"); err != nil {
		return err
	}
	_, err := t.Cluster.WaitReady(ctx, readyLimit)
	return err
}
