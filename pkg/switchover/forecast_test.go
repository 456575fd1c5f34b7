package switchover_test

import (
	"os"
	"slices"
	"testing"

	"github.com/spacei/drbdnfs/pkg/switchover"
)

// Ensure that what crm_simulate 2.1.5 really answered to this package's
// questions is read. "stays" and "back" are the CIB after a move, without and
// with a preference for the old node: the second goes back, whatever the
// stickiness.
func TestForecast(t *testing.T) {
	for _, tt := range []struct {
		name, promotes, demotes string
	}{
		{"now", "", ""},
		{"move", "drbdtest2", "drbdtest1"},
		{"stays", "", ""},
		{"back", "drbdtest1", "drbdtest2"},
		{"standby", "drbdtest2", "drbdtest1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/crm_simulate-2.1.5-" + tt.name + ".xml")
			if err != nil {
				t.Fatal(err)
			}
			promotes, demotes, disturbs, fences, err := switchover.Forecast(data, "nfs")
			if err != nil || !slices.Equal(promotes, words(tt.promotes)) || !slices.Equal(demotes, words(tt.demotes)) || disturbs != nil || fences != nil {
				t.Errorf("promotes %v, demotes %v, disturbs %v, fences %v, error %v", promotes, demotes, disturbs, fences, err)
			}
		})
	}
}

func words(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// Ensure that other resources and fencing are seen in a forecast, and that what
// is blocked or merely begins is not.
func TestForecastOthers(t *testing.T) {
	const text = `<pacemaker-result><actions><node_action task="reboot" node="drbdtest2" reason="x"/>
		<rsc_action action="move" resource="web" source="drbdtest1" dest="drbdtest2"/>
		<rsc_action action="stop" resource="blocked" node="drbdtest1" blocked="true"/>
		<rsc_action action="start" resource="mail" node="drbdtest1"/>
		<rsc_action action="restart" resource="nfs:0" role="Promoted" source="drbdtest1"/></actions></pacemaker-result>`
	promotes, demotes, disturbs, fences, err := switchover.Forecast([]byte(text), "nfs")
	if err != nil || promotes != nil || demotes != nil || !slices.Equal(disturbs, []string{"web (move on drbdtest1)"}) || !slices.Equal(fences, []string{"drbdtest2"}) {
		t.Errorf("promotes %v, demotes %v, disturbs %v, fences %v, error %v", promotes, demotes, disturbs, fences, err)
	}
}
