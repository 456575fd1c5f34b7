package daemon

import (
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// Ensure that the configuration and the decision have the same words for policies
// and modes of snapshots, and the metrics those for phases. That the metrics know
// the policies is a test of package metrics.
func TestWordsAgree(t *testing.T) {
	policies := map[string]splitbrain.PolicyKind{
		config.PolicyManual: splitbrain.Manual, config.PolicySecondary: splitbrain.DiscardSecondary,
		config.PolicyLeastChanges: splitbrain.DiscardLeastChanges, config.PolicyYoungerPrimary: splitbrain.DiscardYoungerPrimary,
		config.PolicyKeepNode: splitbrain.KeepNode,
	}
	for word, kind := range policies {
		if word != string(kind) {
			t.Errorf("policy %q of the configuration is %q of the decision", word, kind)
		}
	}
	for word, mode := range map[string]splitbrain.SnapshotMode{
		config.SnapshotRequired: splitbrain.SnapshotRequired, config.SnapshotIfPossible: splitbrain.SnapshotIfPossible, config.SnapshotOff: splitbrain.SnapshotOff,
	} {
		if word != string(mode) || !mode.Valid() {
			t.Errorf("snapshot %q of the configuration is %q of the decision", word, mode)
		}
	}
	for _, p := range metrics.Phases() {
		if !splitbrain.Phase(p).Valid() {
			t.Errorf("phase %q of the metrics is none of the decision", p)
		}
	}
}
