package scenario

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/spacei/drbdnfs/test/docs/blocks"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Ensure that every document can be run in the lab: its states and machines are
// there.
func TestDocuments(t *testing.T) {
	list, err := documents(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	machines := append(rig.Nodes(), rig.Client)
	for _, d := range list {
		for _, b := range d.blocks {
			if b.Given != "" && states[b.Given] == nil {
				t.Errorf("%s:%d: no state %q", d.name, b.Line, b.Given)
			}
			if !b.Runs() {
				continue
			}
			commands, err := b.Commands()
			if err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			for _, c := range commands {
				if !slices.Contains(machines, c.Node) {
					t.Errorf("%s:%d: no machine %q in the lab", d.name, c.Line, c.Node)
				}
			}
		}
	}
	var order []string
	for _, d := range list {
		order = append(order, d.name)
	}
	if order[0] != "README.md" || order[len(order)-1] != lastDoc || !slices.Contains(order, "docs/operations.md") {
		t.Errorf("order %v", order)
	}
	if i := slices.IndexFunc(list[1].blocks, blocks.Block.Runs); i < 0 || list[1].blocks[i].Given != "blank" {
		t.Errorf("%s does not begin with blank machines", list[1].name)
	}
}
