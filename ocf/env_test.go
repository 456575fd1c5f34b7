package ocf_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/ocf"
)

const reasonPrefix = "ocf-exit-reason:"

// want is an Env with the maps and the prefix that are always there.
func want(e ocf.Env) ocf.Env {
	if e.Params == nil {
		e.Params = map[string]string{}
	}
	if e.Meta == nil {
		e.Meta = map[string]string{}
	}
	if e.ReasonPrefix == "" {
		e.ReasonPrefix = reasonPrefix
	}
	return e
}

var envTests = []struct {
	name    string
	environ []string
	want    ocf.Env
}{
	{"empty", nil, ocf.Env{}},
	{
		"a recurring monitor",
		[]string{
			"OCF_RESOURCE_INSTANCE=nfs", "OCF_RESKEY_drbd_resource=res0", "OCF_RESKEY_crm_feature_set=3.17.4",
			"OCF_RESKEY_CRM_meta_timeout=30000", "OCF_RESKEY_CRM_meta_interval=10000", "OCF_RESKEY_CRM_meta_name=monitor",
			"OCF_CHECK_LEVEL=10", "OCF_EXIT_REASON_PREFIX=ocf-exit-reason:", "PATH=/usr/bin",
		},
		ocf.Env{
			Instance: "nfs", CheckLevel: 10, Timeout: 30 * time.Second, Interval: 10 * time.Second,
			Params: map[string]string{"drbd_resource": "res0"},
			Meta:   map[string]string{"timeout": "30000", "interval": "10000", "name": "monitor"},
		},
	},
	{"a globally unique clone", []string{"OCF_RESOURCE_INSTANCE=nfs:3"}, ocf.Env{Instance: "nfs"}},
	{"an instance that is only a number", []string{"OCF_RESOURCE_INSTANCE=:1"}, ocf.Env{}},
	{"another prefix", []string{"OCF_EXIT_REASON_PREFIX=reason="}, ocf.Env{ReasonPrefix: "reason="}},
	{"an empty prefix keeps the usual one", []string{"OCF_EXIT_REASON_PREFIX="}, ocf.Env{}},
	{"a value with equal signs", []string{"OCF_RESKEY_exports=/a *(fsid=1)"}, ocf.Env{Params: map[string]string{"exports": "/a *(fsid=1)"}}},
	{"a value with line ends", []string{"OCF_RESKEY_exports=/a *\n/b *"}, ocf.Env{Params: map[string]string{"exports": "/a *\n/b *"}}},
	{"an empty value is a value", []string{"OCF_RESKEY_device="}, ocf.Env{Params: map[string]string{"device": ""}}},
	{"no equal sign", []string{"OCF_RESKEY_device"}, ocf.Env{}},
	{"a name that only starts alike", []string{"OCF_RESKEYdevice=x", "XOCF_RESKEY_device=x"}, ocf.Env{}},
	{
		"words instead of numbers",
		[]string{"OCF_CHECK_LEVEL=deep", "OCF_RESKEY_CRM_meta_timeout=30s", "OCF_RESKEY_CRM_meta_interval="},
		ocf.Env{Meta: map[string]string{"timeout": "30s", "interval": ""}},
	},
	{
		"negative times",
		[]string{"OCF_RESKEY_CRM_meta_timeout=-1", "OCF_RESKEY_CRM_meta_interval=-5"},
		ocf.Env{Meta: map[string]string{"timeout": "-1", "interval": "-5"}},
	},
	{
		"times that would overflow",
		[]string{"OCF_RESKEY_CRM_meta_timeout=9223372036855", "OCF_RESKEY_CRM_meta_interval=99999999999999999999"},
		ocf.Env{Meta: map[string]string{"timeout": "9223372036855", "interval": "99999999999999999999"}},
	},
	{
		"a parameter that looks like a meta attribute",
		[]string{"OCF_RESKEY_crm_meta_timeout=5"},
		ocf.Env{Params: map[string]string{"crm_meta_timeout": "5"}},
	},
	{"the last of two counts", []string{"OCF_CHECK_LEVEL=10", "OCF_CHECK_LEVEL=20"}, ocf.Env{CheckLevel: 20}},
}

func TestParseEnv(t *testing.T) {
	for _, tt := range envTests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(want(tt.want), ocf.ParseEnv(tt.environ)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParam(t *testing.T) {
	e := ocf.ParseEnv([]string{"OCF_RESKEY_device= /dev/drbd1000\n"})
	if got := e.Param("device"); got != "/dev/drbd1000" {
		t.Errorf("device = %q", got)
	}
	if got := e.Param("directory"); got != "" {
		t.Errorf("directory = %q", got)
	}
	if got := (ocf.Env{}).Param("device"); got != "" {
		t.Errorf("of the zero value: %q", got)
	}
}

func TestEnvKinds(t *testing.T) {
	tests := []struct {
		name                     string
		meta                     map[string]string
		probe, promotable, clone bool
	}{
		{"a primitive's probe", nil, true, false, false},
		{"ocf-tester's probe", map[string]string{"interval": "0"}, true, false, false},
		{"a primitive's monitor", map[string]string{"interval": "10000"}, false, false, false},
		{"a clone", map[string]string{"clone": "0", "clone_max": "2"}, true, false, true},
		{"a clone without a number", map[string]string{"clone_max": "2"}, true, false, true},
		{"a promotable clone", map[string]string{"clone_max": "2", "promoted_max": "1"}, true, true, true},
		{"a promotable clone by its old name", map[string]string{"clone_max": "2", "master_max": "1"}, true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var environ []string
			for k, v := range tt.meta {
				environ = append(environ, "OCF_RESKEY_CRM_meta_"+k+"="+v)
			}
			e := ocf.ParseEnv(environ)
			if got := e.Probe(); got != tt.probe {
				t.Errorf("Probe() = %v", got)
			}
			if got := e.Promotable(); got != tt.promotable {
				t.Errorf("Promotable() = %v", got)
			}
			if got := e.IsClone(); got != tt.clone {
				t.Errorf("IsClone() = %v", got)
			}
		})
	}
}

// Ensure that an action always has time left to say why it failed, however
// short its timeout, and never more than it was given.
func TestBudget(t *testing.T) {
	tests := []struct{ timeout, want time.Duration }{
		{0, 18 * time.Second}, // the default's
		{20 * time.Second, 18 * time.Second},
		{120 * time.Second, 118 * time.Second},
		{10 * time.Second, 9 * time.Second},
		{5 * time.Second, 4500 * time.Millisecond},
		{2 * time.Second, 1500 * time.Millisecond},
		{time.Second, 500 * time.Millisecond},
		{200 * time.Millisecond, 100 * time.Millisecond},
		{time.Millisecond, 500 * time.Microsecond},
		{24 * time.Hour, 24*time.Hour - 2*time.Second},
	}
	for _, tt := range tests {
		if got := (ocf.Env{Timeout: tt.timeout}).Budget(); got != tt.want {
			t.Errorf("budget of %v = %v, want %v", tt.timeout, got, tt.want)
		}
	}
}

func TestParseBool(t *testing.T) {
	tests := map[string]bool{
		"yes": true, "YES": true, "true": true, "TRUE": true, "True": true, "1": true, "ja": true, "on": true, "ON": true,
		"no": false, "NO": false, "false": false, "FALSE": false, "False": false, "0": false, "nein": false, "off": false, "OFF": false,
	}
	for s, want := range tests {
		if got, err := ocf.ParseBool(s); err != nil || got != want {
			t.Errorf("ParseBool(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "Yes", "y", "2", " true", "enabled", "On"} {
		_, err := ocf.ParseBool(s)
		checkText(t, err, `"`+s+`"`, "use true or false")
	}
}

func TestParseDuration(t *testing.T) {
	tests := map[string]time.Duration{
		"0": 0, "30": 30 * time.Second, "30s": 30 * time.Second, "30sec": 30 * time.Second, "30 s": 30 * time.Second,
		"1500ms": 1500 * time.Millisecond, "2m": 2 * time.Minute, "2min": 2 * time.Minute, "1h": time.Hour, "007s": 7 * time.Second,
		"1000000s": 1_000_000 * time.Second, "1000000h": 1_000_000 * time.Hour,
	}
	for s, want := range tests {
		if got, err := ocf.ParseDuration(s); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "s", "-5s", "1.5s", "5 days", "1000001", "99999999999999999999s", "5S", " 5", "٣s"} {
		_, err := ocf.ParseDuration(s)
		checkText(t, err, `"`+s+`"`, "use seconds such as 30s")
	}
}
