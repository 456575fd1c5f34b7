package resources_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// step is what crm_mon prints from some time on.
type step struct {
	at   time.Duration
	text string
}

// silent is what crm_mon prints, and ends well, when it could not read the CIB.
const silent = `<pacemaker-result><status code="0" message="OK"><errors><error>Could not connect to the CIB</error></errors></status></pacemaker-result>`

var waits = []struct {
	name  string
	steps []step
	texts []string
	err   string
}{
	{
		"served at last",
		[]step{
			{0, monitor("", "", "", "")},
			{time.Second, monitor("Stopped Starting", "", "", "")},
			{2 * time.Second, monitor("Slave Promoting", "Slave", "", "")},
			{3 * time.Second, monitor("Master Monitoring", "Slave", "", "")},
		},
		[]string{
			"group nfs is not Promoted yet: drbdtest1: stopped, drbdtest2: stopped",
			"group nfs is not Promoted yet: drbdtest1: Stopped Starting, drbdtest2: stopped",
			"group nfs is not Promoted yet: drbdtest1: Slave Promoting, drbdtest2: Slave",
			"group nfs is Promoted, and is watched for a moment",
		},
		"",
	},
	{
		"one node fails, the other serves",
		[]step{{0, monitor("", "Unpromoted", "", failed("drbdtest1"))}, {time.Minute, monitor("", "Promoted", "", failed("drbdtest1"))}},
		[]string{
			"group nfs is not Promoted yet: drbdtest1: stopped, drbdtest2: Unpromoted, start on drbdtest1 failed: no 'device' on drbdtest1",
			"group nfs is Promoted, and is watched for a moment",
		},
		"",
	},
	{
		"every node fails",
		[]step{{0, monitor("", "", "", failed("drbdtest1", "drbdtest2"))}},
		nil,
		"failed on every node: start on drbdtest1 failed: no 'device' on drbdtest1; start on drbdtest2 failed: no 'device' on drbdtest2: remove the cause",
	},
	{
		"a second try succeeds",
		[]step{
			{0, monitor("", "", "", failed("drbdtest1", "drbdtest2"))},
			{8 * time.Second, monitor("Stopped Starting", "", "", failed("drbdtest1", "drbdtest2"))},
			{12 * time.Second, monitor("Promoted", "", "", failed("drbdtest1", "drbdtest2"))},
		},
		nil, "",
	},
	{"disabled meanwhile", []step{{0, monitor("", "", "", "")}, {time.Second, monitor("Stopped", "", `disabled="true"`, "")}}, nil, "pcs resource enable nfs"},
	{"for ever", []step{{0, strings.ReplaceAll(monitor("", "", "", ""), `"drbdtest2" online="true"`, `"drbdtest2" online="false"`)}}, nil, "drbdtest2: offline: context deadline exceeded"},
	{"no coordinator", []step{{0, strings.Replace(monitor("", "", "", ""), `present="true"`, `present="false"`, 1)}}, nil, "no coordinator"},
	{"no quorum", []step{{0, strings.Replace(monitor("", "", "", ""), `with_quorum="true"`, `with_quorum="false"`, 1)}}, nil, "no quorum"},
	{
		"the cib cannot be had for a moment",
		[]step{{0, monitor("", "", "", "")}, {time.Second, silent}, {3 * time.Second, monitor("Promoted", "Unpromoted", "", "")}},
		nil, "",
	},
	{"garbage", []step{{0, monitor("", "", "", "")}, {time.Second, "Connection to cluster failed"}}, nil, "crm_mon: "},
}

// Ensure that the last item waits until the group is Promoted with nothing under
// way, says what is missing, and ends when every node has failed for good.
func TestAwait(t *testing.T) {
	for _, tt := range waits {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCluster(t, made)
				start := time.Now()
				w.mon = func() string {
					i := slices.IndexFunc(tt.steps, func(s step) bool { return s.at > time.Since(start) })
					if i < 0 {
						i = len(tt.steps)
					}
					return tt.steps[i-1].text
				}
				items := look(t, w.stage("drbdtest1", example()))
				it := items[slices.IndexFunc(items, func(it setup.Item) bool { return it.Action == setup.Await })]
				p := &progress{}
				checkError(t, it.Do(context.Background(), p), tt.err)
				if diff := cmp.Diff(tt.texts, p.texts); tt.texts != nil && diff != "" {
					t.Errorf("waited for (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Ensure that a group that somebody has switched off is not waited for.
func TestOff(t *testing.T) {
	for _, tt := range []struct{ name, mon, want string }{
		{"disabled", monitor("Stopped", "", `disabled="true"`, ""), "disabled by somebody"},
		{"maintenance", strings.Replace(monitor("Stopped", "", "", ""), `maintenance-mode="false"`, `maintenance-mode="true"`, 1), "maintenance mode"},
		{"unmanaged", strings.Replace(monitor("Stopped", "", "", ""), `managed="true"`, `managed="false"`, 1), "unmanaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCluster(t, made)
			w.mon = func() string { return tt.mon }
			it := look(t, w.stage("drbdtest1", example()))[1]
			if it.Action != setup.Warn || !strings.Contains(it.Detail, tt.want) {
				t.Errorf("item %s: %s, want a warning with %q", it.Action, it.Detail, tt.want)
			}
		})
	}
}
