package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// alertsConfig has drbdnfsd tell a command, which writes into the journal, and
// the receiver on the client.
const alertsConfig = `[alerts]\ncommand = ["/usr/bin/systemd-cat", "--identifier=lab-alert"]\nwebhook = "http://192.168.2.64:8099/hook"\n`

// startReceiver starts the webhook's other end on the client. It turns the first
// alert away, as a service that restarts does, and keeps all others.
func (t *T) startReceiver(ctx context.Context) error {
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, rig.Client, "systemctl stop lab-receiver 2>/dev/null; rm -f /run/lab-receiver.py /run/lab-alerts")
	})
	_, err := t.Rig.SSH(ctx, rig.Client, `set -e
cat >/run/lab-receiver.py <<'END'
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    refused = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if Handler.refused:
            with open("/run/lab-alerts", "ab") as kept:
                kept.write(body)
        self.send_response(204 if Handler.refused else 503)
        self.end_headers()
        Handler.refused = True

http.server.HTTPServer(("192.168.2.64", 8099), Handler).serve_forever()
END
rm -f /run/lab-alerts
systemctl stop lab-receiver 2>/dev/null || true
systemd-run --quiet --collect --unit=lab-receiver /usr/bin/python3 /run/lab-receiver.py`)
	return err
}

// toldOf checks that both ways have got the alerts of one resolution: found and
// resolved by both nodes, discarded by the victim, all of one incident. The first
// ones may come before the nodes know which.
func (t *T) toldOf(ctx context.Context, victim string) error {
	want := []string{"discarded " + victim}
	for _, node := range rig.Nodes() {
		want = append(want, "found "+node, "resolved "+node)
	}
	err := rig.Poll(ctx, "the webhook to get every alert", time.Minute, time.Second, func(ctx context.Context) error {
		out, err := t.Rig.SSH(ctx, rig.Client, `cat /run/lab-alerts 2>/dev/null | jq -r '"\(.kind) \(.node)"'`)
		if err != nil {
			return err
		}
		return lacks(out, want)
	})
	if err != nil {
		return err
	}
	incidents, err := t.Rig.SSH(ctx, rig.Client, "jq -r '.incident // empty' /run/lab-alerts | sort -u | wc -l")
	if err != nil {
		return err
	}
	t.Check(strings.TrimSpace(incidents) == "1", "the alerts are of %s incidents, want 1", strings.TrimSpace(incidents))
	return rig.Poll(ctx, "the command to get every alert", time.Minute, time.Second, func(ctx context.Context) error {
		var all strings.Builder
		for _, node := range rig.Nodes() {
			out, err := t.Rig.SSH(ctx, node, `journalctl -q -b -o cat -t lab-alert | jq -r '"\(.kind) \(.node)"'`)
			if err != nil {
				return err
			}
			all.WriteString(out)
		}
		return lacks(all.String(), want)
	})
}

// lacks names the lines of want that are not in text.
func lacks(text string, want []string) error {
	for _, line := range want {
		if !strings.Contains(text, line+"\n") {
			return fmt.Errorf("%w: no %q in\n%s", errNot, line, text)
		}
	}
	return nil
}
