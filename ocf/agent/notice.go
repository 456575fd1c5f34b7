package agent

import (
	"slices"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// probe reports whether the action called name is a probe: a monitor that asks
// once, on any node.
func (a *Agent) probe(name string) bool {
	return slices.Contains([]string{"monitor", "status"}, name) && a.env.Probe()
}

// tell sends word of an action that has ended with code after dur to the daemon,
// which makes metrics of it. Checks that change nothing and watch nothing
// (probes, validate-all) are left out. The daemon may not be there: that never
// matters to an action.
func (a *Agent) tell(name string, code ocf.Code, dur time.Duration) {
	if a.inform == nil || name == "validate-all" || a.probe(name) {
		return
	}
	err := a.inform(notice.Notice{
		Node: a.env.Meta["on_node"], When: time.Now().UTC(),
		Action: &notice.Action{
			Group: a.env.Instance, Name: name, Level: a.env.CheckLevel, Code: int(code), DurationMS: dur.Milliseconds(),
		},
	})
	if err != nil {
		a.log.Debug("daemon not told", "action", name, "err", err)
	}
}
