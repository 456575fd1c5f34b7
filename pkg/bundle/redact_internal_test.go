package bundle

import (
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Ensure that secrets are taken out of every form in which they appear, and that
// what only sounds like one stays.
func TestRedactText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"TOML", `shared-secret = "hunter2"`, `shared-secret = "(hidden)"`},
		{"TOML inline", `parameters = { ip = "192.168.2.71", passwd = 'hunter2', login = "admin" }`, `parameters = { ip = "192.168.2.71", passwd = '(hidden)', login = "admin" }`},
		{"TOML lines", "password = \"\"\"\nhunter2\n\"\"\"\nx = 1", "password = \"(hidden)\"\nx = 1"},
		{"webhook", `webhook = "https://hooks.example.org/T0/B0/hunter2"`, `webhook = "(hidden)"`},
		{"numeric password", "passwd=123456", "passwd=(hidden)"},
		{"escaped quote", `password = "a\"hunter2"`, `password = "(hidden)"`},
		{"DRBD", "\tshared-secret     \"hunter2\";", "\tshared-secret     \"(hidden)\";"},
		{"DRBD bare", "shared-secret hunter2;", "shared-secret (hidden);"},
		{"JSON", `{"password":"hunter2","ip":"1"}`, `{"password":"(hidden)","ip":"1"}`},
		{"option", "fence_ipmilan --password hunter2 --ip 1", "fence_ipmilan --password (hidden) --ip 1"},
		{"log", "fence_ipmi: passwd=hunter2 login=admin", "fence_ipmi: passwd=(hidden) login=admin"},
		{"URL", "https://admin:hunter2@bmc/", "https://admin:(hidden)@bmc/"},
		{"bearer", "Authorization: Bearer hunter2", "Authorization: Bearer (hidden)"},
		{"known value", "somewhere known-value appears", "somewhere (hidden) appears"},
		{"corosync", "token: 3000", "token: 3000"},
		{"place of a secret", `token_file = "/etc/drbdnfs/token"`, `token_file = "/etc/drbdnfs/token"`},
		{"place of a key", `tls_key = "/etc/drbdnfs/metrics.key"`, `tls_key = "/etc/drbdnfs/metrics.key"`},
		{"TLS key statement", "verify-alg sha256; keyboard us", "verify-alg sha256; keyboard us"},
		{"identifiers", "gi E08A061F3C6ABB0B:EF0190E7E6766BE5", "gi E08A061F3C6ABB0B:EF0190E7E6766BE5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, n := newRedactor(nil, "known-value", "x").text([]byte(tt.in))
			if string(got) != tt.want || (n > 0) != (tt.in != tt.want) {
				t.Errorf("got %q with %d redactions, want %q", got, n, tt.want)
			}
			if again, n := newRedactor(nil).text(got); n > 0 && !strings.Contains(tt.name, "numeric") && string(again) != string(got) {
				t.Errorf("a second time it became %q", again)
			}
		})
	}
}

// Ensure that a CIB keeps everything but the values of passwords, and that what is
// no XML is not kept at all.
func TestRedactCIB(t *testing.T) {
	const in = `<cib><primitive id="ipmi1" type="fence_ipmilan"><instance_attributes id="a"><nvpair id="a-passwd" name="passwd" value="hunter2"/>` +
		`<nvpair id="a-ip" name="ip" value="192.168.2.71"/><nvpair id="a-u" name="snmp_priv_passwd" value="hunter3"/></instance_attributes></primitive></cib>`
	got, n := newRedactor(nil).cib([]byte(in))
	if n != 2 || strings.Contains(string(got), "hunter") || !strings.Contains(string(got), `value="192.168.2.71"`) || !strings.Contains(string(got), `id="a-passwd"`) {
		t.Errorf("got %s with %d redactions", got, n)
	}
	for _, bad := range []string{"", "passwd hunter2", `<cib><nvpair name="passwd" value="hunter2"`} {
		if got, _ := newRedactor(nil).cib([]byte(bad)); strings.Contains(string(got), "hunter2") || !strings.HasPrefix(string(got), "left out") {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

// Ensure that the values of the configuration are found wherever they are.
func TestRedactConfigured(t *testing.T) {
	c := &config.Config{Resource: config.Resource{DRBD: map[string]string{"shared-secret": "longenough", "protocol": "C-protocol"}}}
	c.Fencing.Devices = []config.FenceDevice{{Parameters: map[string]string{"passwd": "of-the-bmc", "ip": "192.168.2.71"}}}
	c.Alerts.Webhook = "https://hooks.example.org/x"
	got, n := newRedactor(c).text([]byte("a longenough b of-the-bmc c https://hooks.example.org/x d 192.168.2.71 C-protocol"))
	if want := "a (hidden) b (hidden) c (hidden) d 192.168.2.71 C-protocol"; string(got) != want || n != 3 {
		t.Errorf("got %q with %d redactions", got, n)
	}
}

// Ensure that no text breaks the redactor or grows without end.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{`password = "x`, "shared-secret 'a;", "://:@", `passwd="\`, "<nvpair name='passwd' value='x'/>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newRedactor(nil, "known-value")
		if got, n := r.text(data); len(got) > len(data)+(n+1)*len(hidden)*2 || strings.Contains(string(got), "known-value") {
			t.Errorf("%q became %q", data, got)
		}
		r.cib(data)
	})
}
