package ocf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	paramPrefix = "OCF_RESKEY_"
	metaPrefix  = "OCF_RESKEY_CRM_meta_"
)

// DefaultTimeout is what an action without a timeout of its own may take. An
// action has none when the executor made it up itself, as for a stop without a
// coordinator; Pacemaker's own default is the same 20 s.
const DefaultTimeout = 20 * time.Second

// Env is what Pacemaker tells an action through its environment.
type Env struct {
	Instance     string            // OCF_RESOURCE_INSTANCE without a clone's ":N"
	CheckLevel   int               // OCF_CHECK_LEVEL: the depth of monitor and validate-all
	Timeout      time.Duration     // CRM_meta_timeout, 0 when there is none
	Interval     time.Duration     // CRM_meta_interval, 0 for probes and one-time actions
	ReasonPrefix string            // OCF_EXIT_REASON_PREFIX
	Params       map[string]string // the parameters that the CIB sets
	Meta         map[string]string // CRM_meta_*, without the prefix
}

// ParseEnv reads an environment as os.Environ returns it. It never fails: what
// is malformed is absent.
func ParseEnv(environ []string) Env {
	e := Env{
		ReasonPrefix: "ocf-exit-reason:",
		Params:       map[string]string{},
		Meta:         map[string]string{},
	}
	for _, kv := range environ {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			continue
		}
		switch {
		case strings.HasPrefix(key, metaPrefix):
			e.Meta[key[len(metaPrefix):]] = value
		case strings.HasPrefix(key, paramPrefix):
			e.Params[key[len(paramPrefix):]] = value
		case key == "OCF_RESOURCE_INSTANCE":
			e.Instance, _, _ = strings.Cut(value, ":")
		case key == "OCF_CHECK_LEVEL":
			e.CheckLevel, _ = strconv.Atoi(value)
		case key == "OCF_EXIT_REASON_PREFIX" && value != "":
			e.ReasonPrefix = value
		}
	}
	delete(e.Params, "crm_feature_set") // set by Pacemaker for every action
	e.Timeout = millis(e.Meta["timeout"])
	e.Interval = millis(e.Meta["interval"])
	return e
}

// maxMillis is a year: more is a mistake, and far more would overflow.
const maxMillis = 366 * 24 * 60 * 60 * 1000

func millis(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxMillis {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// Param returns parameter name without surrounding space, or "".
func (e Env) Param(name string) string { return strings.TrimSpace(e.Params[name]) }

// Probe reports whether a monitor with this environment is a probe: the
// executor gives those no interval (Pacemaker 2.1) or 0 (ocf-tester).
func (e Env) Probe() bool { return e.Interval == 0 }

// Promotable reports whether the resource is configured as a promotable clone.
// Pacemaker 2.1 passes no CRM_meta_promotable; the maximum of promoted
// instances is there for promotable clones alone, by its old or its new name.
func (e Env) Promotable() bool {
	return e.Meta["promoted_max"] != "" || e.Meta["master_max"] != ""
}

// IsClone reports whether the resource is a clone of any kind.
func (e Env) IsClone() bool { return e.Meta["clone"] != "" || e.Meta["clone_max"] != "" }

// Budget is how long the action may work: its timeout, or [DefaultTimeout],
// less a tenth, but at least half a second and at most 2 s less, in which it
// still has to say why it failed before the executor kills it without warning.
func (e Env) Budget() time.Duration {
	t := e.Timeout
	if t == 0 {
		t = DefaultTimeout
	}
	reserve := min(max(t/10, 500*time.Millisecond), 2*time.Second)
	return max(t-reserve, t/2)
}

// ParseBool reads a boolean exactly as ocf_is_true of resource-agents does, and
// refuses what is neither true nor false there.
func ParseBool(s string) (bool, error) {
	switch s {
	case "yes", "YES", "true", "TRUE", "True", "1", "ja", "on", "ON":
		return true, nil
	case "no", "NO", "false", "FALSE", "False", "0", "nein", "off", "OFF":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean: use true or false", s)
}

// ParseDuration reads a time as Pacemaker writes it: a number of seconds, or a
// number with one of the units ms, s, sec, m, min, h.
func ParseDuration(s string) (time.Duration, error) {
	i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if i < 0 {
		i = len(s)
	}
	n, err := strconv.Atoi(s[:i])
	if err != nil {
		return 0, fmt.Errorf("%q is not a time: use seconds such as 30s", s)
	}
	units := map[string]time.Duration{
		"": time.Second, "ms": time.Millisecond, "s": time.Second, "sec": time.Second,
		"m": time.Minute, "min": time.Minute, "h": time.Hour,
	}
	unit, ok := units[strings.TrimSpace(s[i:])]
	if !ok || n > 1_000_000 {
		return 0, fmt.Errorf("%q is not a time: use seconds such as 30s", s)
	}
	return time.Duration(n) * unit, nil
}
