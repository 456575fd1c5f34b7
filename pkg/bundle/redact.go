package bundle

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// hidden stands for what was taken out.
const hidden = "(hidden)"

// secretName are names of what is not to be shown.
const secretName = `[\w.-]*(?:passw|passphrase|secret|token|webhook|credential|private[_-]?key|auth[_-]?key)[\w.-]*|pass|key|apikey|api_key`

// Patterns by which secrets are found in text. The value is the last group.
var (
	// name = value, name: value, "name":"value", name='value'
	assigned = regexp.MustCompile(`(?i)(["']?\b(?:` + secretName + `)["']?\s*[=:]\s*)(\(hidden\)|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;"'}\])]+)`)
	// DRBD's grammar: shared-secret "value";
	statement = regexp.MustCompile(`(?i)(\b(?:shared-secret|cram-hmac-key)\s+)("(?:[^"\\\n]|\\.)*"|[^\s;=:"'][^\s;]*)`)
	// --password value, --token=value, -p is too short to be sure of
	option = regexp.MustCompile(`(?i)(--(?:` + secretName + `)[= ]+)("[^"\n]*"|'[^'\n]*'|\S+)`)
	// http://user:password@host
	userinfo = regexp.MustCompile(`(://[^/\s:@]+:)([^@/\s]+)@`)
	// Authorization: Bearer value
	bearer = regexp.MustCompile(`(?i)(\bBearer\s+)([\w.~+/=-]+)`)
	// several lines in TOML
	multiline = regexp.MustCompile(`(?is)(\b(?:` + secretName + `)\s*=\s*)("""|''').*?(?:"""|''')`)
)

// harmless are values that are no secret, whatever their names: corosync's token
// is a time, and the place of a secret is none.
var harmless = regexp.MustCompile(`^["']?(?:[0-9]+(?:ms|s|m|h)?|/[\w./-]+|true|false|yes|no|on|off|\(hidden\))["']?$`)

// certain are names whose values are secrets even when they look harmless.
var certain = regexp.MustCompile(`(?i)passw|passphrase|pass\b|secret`)

// redactor takes secrets out of files.
type redactor struct{ values []string }

// newRedactor knows the secrets of a configuration, which may be nil, by their
// values.
func newRedactor(c *config.Config, more ...string) *redactor {
	r := &redactor{}
	if c != nil {
		more = append(more, c.Alerts.Webhook)
		for name, value := range c.Resource.DRBD {
			if sensitive(name) {
				more = append(more, value)
			}
		}
		for _, d := range c.Fencing.Devices {
			for name, value := range d.Parameters {
				if sensitive(name) {
					more = append(more, value)
				}
			}
		}
	}
	const shortest = 5 // what is shorter would be found everywhere
	for _, v := range more {
		if v = strings.TrimSpace(v); len(v) >= shortest {
			r.values = append(r.values, v)
		}
	}
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
	return r
}

var secretNames = regexp.MustCompile(`(?i)^(?:` + secretName + `)$`)

// sensitive reports whether a parameter's name is one of a secret.
func sensitive(name string) bool {
	return secretNames.MatchString(name) || strings.EqualFold(name, "passwd_script")
}

// text takes secrets out of text, and counts them.
func (r *redactor) text(data []byte) ([]byte, int) {
	n := 0
	if bytes.Contains(data, []byte(`"""`)) || bytes.Contains(data, []byte("'''")) {
		data = multiline.ReplaceAllFunc(data, func(m []byte) []byte {
			n++
			return slices.Concat(multiline.FindSubmatch(m)[1], []byte(`"`+hidden+`"`))
		})
	}
	if !suspicious(data) {
		return r.known(data, n)
	}
	out := make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		if suspicious(line) {
			var m int
			line, m = redactLine(line)
			n += m
		}
		out = append(out, line...)
	}
	return r.known(out, n)
}

// hints are what every line has that a pattern finds something in. Megabytes of
// journals have few of them.
var hints = [][]byte{
	[]byte("pass"), []byte("secret"), []byte("token"), []byte("webhook"), []byte("credential"), []byte("key"), []byte("bearer"), []byte("://"),
}

func suspicious(data []byte) bool {
	lower := bytes.ToLower(data)
	return slices.ContainsFunc(hints, func(h []byte) bool { return bytes.Contains(lower, h) })
}

// redactLine takes secrets out of one line.
func redactLine(line []byte) ([]byte, int) {
	n := 0
	for _, re := range []*regexp.Regexp{assigned, statement, option, bearer} {
		line = re.ReplaceAllFunc(line, func(m []byte) []byte {
			g := re.FindSubmatch(m)
			if g == nil { // it matched because of what stands around it
				n++
				return []byte(hidden)
			}
			if harmless.Match(g[2]) && (!certain.Match(g[1]) || bytes.ContainsAny(g[2], "/(")) {
				return m
			}
			n++
			if quote := g[2][0]; quote == '"' || quote == '\'' {
				return slices.Concat(g[1], []byte{quote}, []byte(hidden), []byte{quote})
			}
			return slices.Concat(g[1], []byte(hidden))
		})
	}
	line = userinfo.ReplaceAllFunc(line, func(m []byte) []byte {
		n++
		return slices.Concat(userinfo.FindSubmatch(m)[1], []byte(hidden+"@"))
	})
	return line, n
}

// known takes out the secrets whose values are known.
func (r *redactor) known(data []byte, n int) ([]byte, int) {
	for _, v := range r.values {
		if c := bytes.Count(data, []byte(v)); c > 0 {
			n += c
			data = bytes.ReplaceAll(data, []byte(v), []byte(hidden))
		}
	}
	return data, n
}

// cib takes secrets out of a CIB, whole or in part. What is no XML is left out
// altogether.
func (r *redactor) cib(data []byte) ([]byte, int) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil || doc.Root() == nil {
		return []byte("left out: it is not XML, so that secrets cannot be found in it\n"), 1
	}
	n := 0
	for _, nv := range doc.FindElements("//nvpair") {
		if sensitive(nv.SelectAttrValue("name", "")) && nv.SelectAttrValue("value", "") != "" {
			nv.CreateAttr("value", hidden)
			n++
		}
	}
	// What agents are called with by name, as pacemaker_remote and old lrmd have it.
	for _, e := range doc.FindElements("//attributes") {
		for i := range e.Attr {
			if sensitive(e.Attr[i].Key) {
				e.Attr[i].Value = hidden
				n++
			}
		}
	}
	out, err := doc.WriteToBytes()
	if err != nil {
		return []byte("left out: it cannot be written without its secrets\n"), n + 1
	}
	return r.known(out, n)
}
