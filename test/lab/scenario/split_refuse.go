package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/daemon"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// refusal is one reason for which nothing may be discarded.
type refusal struct {
	name string
	// policy and more are the configuration on both nodes; %s is the passive one.
	policy, more string
	// prepare makes the reason, after the nodes have diverged and before they
	// meet; undo takes it back.
	prepare, undo func(ctx context.Context, t *T, active, passive string) error
	// want is the refusal that the victim's side shows.
	want string
}

func nothing(context.Context, *T, string, string) error { return nil }

// on runs a script on the active or the passive node.
func on(passiveNode bool, script string) func(ctx context.Context, t *T, active, passive string) error {
	return func(ctx context.Context, t *T, active, passive string) error {
		node := active
		if passiveNode {
			node = passive
		}
		_, err := t.Rig.SSH(ctx, node, script)
		return err
	}
}

var refusals = []refusal{
	{"the victim is promoted", "keep-node", `keep = "%s"\nresolutions = 16\n`, nothing, nothing, "victim-in-use"},
	{
		"the peer says nothing", "discard-secondary", `resolutions = 16\n`,
		on(false, "systemctl stop drbdnfsd; attrd_updater --name drbdnfs-evidence-res0-drbdtest1-drbdtest2 --delete --private"),
		on(false, "systemctl start drbdnfsd"), "peer-missing",
	},
	{
		"no room for a snapshot", "discard-secondary", `resolutions = 16\n`,
		on(true, "lvcreate -qq -y -Wn -l 100%FREE -n lab-full drbdpool"),
		on(true, "lvremove -qq -y drbdpool/lab-full"), "snapshot-failed",
	},
	{
		"a broken configuration", "discard-secondary", `resolutions = 16\n`,
		on(true, "echo broken >>/etc/drbdnfs/drbdnfs.toml"),
		on(true, "sed -i '/^broken$/d' /etc/drbdnfs/drbdnfs.toml"), "policy-broken",
	},
}

// splitRefuse is the scenario split-brain-refuse.
func splitRefuse(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	for _, r := range refusals {
		if err := t.refuseRound(ctx, r, active, passive); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return t.coolDown(ctx, active, passive)
}

// refuseRound makes a split brain that must not be resolved, looks for the
// reason, and resolves it by hand.
func (t *T) refuseRound(ctx context.Context, r refusal, active, passive string) error {
	t.Logf("%s", r.name)
	more := r.more
	if strings.Contains(more, "%s") {
		more = fmt.Sprintf(more, passive)
	}
	if err := t.setPolicy(ctx, r.policy, more); err != nil {
		return err
	}
	if err := t.noteDiscards(ctx); err != nil {
		return err
	}
	tag := strings.ReplaceAll(r.want, "-", "")
	if err := t.diverge(ctx, active, passive, tag); err != nil {
		return err
	}
	if err := r.prepare(ctx, t, active, passive); err != nil {
		return err
	}
	if _, err := t.mend(ctx, passive); err != nil {
		return err
	}
	err := rig.Poll(ctx, "the reason "+r.want, 90*time.Second, time.Second, func(ctx context.Context) error {
		out, err := t.Rig.SSH(ctx, passive, "systemctl show -p StatusText drbdnfsd")
		if err == nil && !strings.Contains(out, "held ("+r.want+")") {
			err = fmt.Errorf("%w: %s", errNot, strings.TrimSpace(out))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := observe(ctx, 15*time.Second); err != nil {
		return err
	}
	if err := t.untouched(ctx); err != nil {
		return err
	}
	// Manual, before the cause is gone, or the daemons would do it now.
	if err := t.writePolicy(ctx, "manual", ""); err != nil {
		return err
	}
	if err := r.undo(ctx, t, active, passive); err != nil {
		return err
	}
	if err := t.awaitPolicy(ctx, "manual"); err != nil {
		return err
	}
	if err := t.byHand(ctx, passive, active); err != nil {
		return err
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	t.survived(ctx, tag)
	return t.untouched(ctx)
}

// forgetResolutions has the daemon begin without a history: what earlier
// scenarios have resolved would count for the cool-down.
const forgetResolutions = "systemctl stop drbdnfsd && rm -f /var/lib/drbdnfs/split-brain/*.json && systemctl start drbdnfsd"

// coolDown lets one split brain be resolved, and sees the next one held.
func (t *T) coolDown(ctx context.Context, active, passive string) error {
	t.Logf("a further split brain within the cool-down")
	if err := t.Cluster.Both(ctx, forgetResolutions); err != nil {
		return err
	}
	if err := t.autoRound(ctx, active, passive, "discard-secondary", `resolutions = 1\n`, nil); err != nil {
		return err
	}
	return t.refuseRound(ctx, refusal{"the second one", "discard-secondary", `resolutions = 1\n`, nothing, nothing, "cool-down"}, active, passive)
}

// daemonKilled is the scenario daemon-killed.
func daemonKilled(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	for _, effect := range daemon.Effects() {
		for _, when := range []string{"before", "after"} {
			node := passive
			switch effect {
			case "reconnect":
				node = active
			case "withdraw":
				continue // only reached where the survivor does not come
			}
			if err := t.killRound(ctx, active, passive, node, effect+" "+when); err != nil {
				return fmt.Errorf("killed %s %s: %w", when, effect, err)
			}
		}
	}
	return nil
}

// killRound kills the daemon of a node at a fault point of a resolution. What
// follows must be a resolution or a hold, and at most one discard.
func (t *T) killRound(ctx context.Context, active, passive, node, point string) error {
	tag := strings.ReplaceAll(point, " ", "")
	if err := t.setPolicy(ctx, "discard-secondary", `resolutions = 16\n`); err != nil {
		return err
	}
	orders, err := t.orders(ctx, passive)
	if err != nil {
		return err
	}
	if err := t.diverge(ctx, active, passive, tag); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, node, "mkdir -p -m 0700 /run/drbdnfs; echo '"+point+"' >"+daemon.FaultPointPath); err != nil {
		return err
	}
	if _, err := t.mend(ctx, passive); err != nil {
		return err
	}
	err = rig.Poll(ctx, "the daemon to be killed", 90*time.Second, time.Second, func(ctx context.Context) error {
		_, err := t.Rig.SSH(ctx, node, "! [ -e "+daemon.FaultPointPath+" ]")
		return err
	})
	if err != nil {
		return err
	}
	end, err := t.end(ctx, active, passive)
	if err != nil {
		return err
	}
	now, err := t.orders(ctx, passive)
	if err != nil {
		return err
	}
	t.Logf("killed at %q on %s: %s, %d orders to discard", point, node, end, now-orders)
	t.Check(now-orders <= 1, "%d orders to discard", now-orders)
	if end != "resolved" {
		if err := t.setPolicy(ctx, "manual", ""); err != nil {
			return err
		}
		if err := t.byHand(ctx, passive, active); err != nil {
			return err
		}
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	t.survived(ctx, tag)
	return t.removeSnapshots(ctx, passive)
}

// orders counts how often DRBD has discarded a node's data by order since it
// booted, as its kernel tells it: a daemon that was killed may not have told. A
// person's orders count as well.
func (t *T) orders(ctx context.Context, node string) (int, error) {
	at, err := t.stamps(ctx, node, "-k --grep 'Split-Brain detected, manually solved'")
	return len(at), err
}

// end waits until both daemons are done with a split brain and, where it is
// resolved, until the group is whole. It says how it ended.
func (t *T) end(ctx context.Context, active, passive string) (string, error) {
	how, err := t.phaseEnd(ctx, active, passive)
	if err == nil && how == "resolved" {
		_, err = t.Cluster.WaitReady(ctx, readyLimit)
	}
	return how, err
}

// phaseEnd waits until both daemons are done with a split brain, and says how.
func (t *T) phaseEnd(ctx context.Context, active, passive string) (string, error) {
	how := ""
	err := rig.Poll(ctx, "the end of the resolution", 3*time.Minute, time.Second, func(ctx context.Context) error {
		held := false
		for _, node := range []string{active, passive} {
			text, err := t.metrics(ctx, node)
			if err != nil {
				return err
			}
			switch phases := grep(text, "drbdnfs_split_brain_phase"); {
			case strings.Contains(phases, `phase="held"`):
				held = true
			case strings.Contains(phases, `phase="none"`):
			default:
				return fmt.Errorf("%w: %s", errNot, phases)
			}
		}
		if how = "resolved"; held {
			how = "held"
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if how == "held" {
		return how, observe(ctx, 15*time.Second)
	}
	return how, nil
}

// streamLost is the scenario stream-lost.
func streamLost(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if _, err := t.Rig.SSH(ctx, passive, "pkill -KILL -f 'drbdsetup.*events2'"); err != nil {
		return err
	}
	if err := t.shows(ctx, passive, "a new events2", 30*time.Second, "drbdnfs_events2_restarts_total 1", "drbdnfs_events2_up 1"); err != nil {
		return err
	}
	t.Logf("%s: followed DRBD again %.1f s after drbdsetup was killed", passive, time.Since(begin).Seconds())
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, active, "crm_standby --delete --node "+passive)
	})
	if _, err := t.Rig.SSH(ctx, active, "crm_standby --node "+passive+" --update on"); err != nil {
		return err
	}
	err = rig.Poll(ctx, "DRBD's module to go", time.Minute, time.Second, func(ctx context.Context) error {
		_, err := t.Rig.SSH(ctx, passive, "drbdadm down res0 2>/dev/null; rmmod drbd_transport_tcp 2>/dev/null; rmmod drbd")
		return err
	})
	if err != nil {
		return err
	}
	if err := t.shows(ctx, passive, "no DRBD", 30*time.Second, "drbdnfs_events2_up 0"); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, passive, "! [ -d /sys/module/drbd ]"); err != nil {
		return fmt.Errorf("the daemon has loaded DRBD's module: %w", err)
	}
	if _, err := t.Rig.SSH(ctx, active, "crm_standby --delete --node "+passive); err != nil {
		return err
	}
	if err := t.shows(ctx, passive, "DRBD again", 2*time.Minute, "drbdnfs_events2_up 1", `drbd_resource_role{drbd_resource_role="Secondary",name="res0"} 1`); err != nil {
		return err
	}
	return t.whole(ctx)
}

// prometheusConfig scrapes both nodes, for a lab's patience.
const prometheusConfig = `global: {scrape_interval: 2s, evaluation_interval: 2s}
rule_files: [/root/prometheus/*.rules.yml]
scrape_configs:
- job_name: drbdnfs
  static_configs:
  - targets: ['192.168.2.61:19942', '192.168.2.62:19942']
`

// metricsLive is the scenario metrics-live.
func metricsLive(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, rig.Client, "systemctl stop lab-prometheus")
		_ = t.Cluster.Both(ctx, `sed -i '/^\[metrics\]/,/^listen/d' /etc/drbdnfs/drbdnfs.toml`)
	})
	if err := t.Cluster.Both(ctx, `sed -i '/^\[split_brain\]/,$d' /etc/drbdnfs/drbdnfs.toml; printf '[metrics]\nlisten = ":19942"\n[split_brain]\npolicy = "manual"\n' >>/etc/drbdnfs/drbdnfs.toml`); err != nil {
		return err
	}
	if err := t.startPrometheus(ctx, active); err != nil {
		return err
	}
	if err := t.query(ctx, "both nodes scraped", "sum(drbdnfs_events2_up)", "2"); err != nil {
		return err
	}
	if err := t.query(ctx, "no split brain", "sum(drbdnfs_split_brain)", "0"); err != nil {
		return err
	}
	if err := t.diverge(ctx, active, passive, "metrics"); err != nil {
		return err
	}
	if _, err := t.mend(ctx, passive); err != nil {
		return err
	}
	if err := t.query(ctx, "the split brain on both", "sum(drbdnfs_split_brain)", "2"); err != nil {
		return err
	}
	if err := t.query(ctx, "the alert", `count(ALERTS{alertname="DrbdSplitBrain",alertstate="firing"} > 0)`, "1"); err != nil {
		return err
	}
	if err := t.byHand(ctx, passive, active); err != nil {
		return err
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	return t.query(ctx, "the end of the alert", `count(ALERTS{alertname="DrbdSplitBrain",alertstate="firing"}) or vector(0)`, "0")
}

// startPrometheus runs Debian's Prometheus on the client with the package's rules.
func (t *T) startPrometheus(ctx context.Context, node string) error {
	if err := t.Rig.Put(ctx, rig.Client, t.Rig.Checkout+"/.cache/prometheus/prometheus", "/root/prometheus/prometheus", "0755"); err != nil {
		return fmt.Errorf("%w (scripts/install-deps check takes it from Debian's package)", err)
	}
	rules, err := t.Rig.SSH(ctx, node, "tar -C /usr/share/drbdnfs/prometheus -c . | base64 -w0")
	if err != nil {
		return err
	}
	_, err = t.Rig.SSH(ctx, rig.Client, fmt.Sprintf(`set -e
cd /root/prometheus; echo %s | base64 -d | tar -x
cat >prometheus.yml <<'END'
%sEND
systemd-run -q --collect --unit=lab-prometheus /root/prometheus/prometheus --config.file=/root/prometheus/prometheus.yml --storage.tsdb.path=/root/prometheus/data --web.listen-address=127.0.0.1:9090`, rules, prometheusConfig))
	return err
}

// query waits until Prometheus answers a query with one value.
func (t *T) query(ctx context.Context, what, expr, want string) error {
	return rig.Poll(ctx, "Prometheus: "+what, 2*time.Minute, time.Second, func(ctx context.Context) error {
		out, err := t.Rig.SSH(ctx, rig.Client, fmt.Sprintf(`python3 - <<'END'
import json, urllib.parse, urllib.request
q = urllib.parse.quote('''%s''')
r = json.load(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/query?query=" + q, timeout=10))
print(" ".join(s["value"][1] for s in r["data"]["result"]))
END`, expr))
		if err == nil && strings.TrimSpace(out) != want {
			err = fmt.Errorf("%w: %s is %q, want %s", errNot, expr, strings.TrimSpace(out), want)
		}
		return err
	})
}
