package daemon

import (
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// said is what the cluster knows of a node.
func (w *world) said(n *node) (declare.Node, bool) {
	w.t.Helper()
	values, err := pacemaker.New(n.Host).Query(w.t.Context(), declare.Attribute)
	if err != nil {
		w.t.Fatal(err)
	}
	data, ok := values[n.Name]
	if !ok {
		return declare.Node{}, false
	}
	d, err := declare.Unmarshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return d, true
}

// Ensure that each node tells the others what it is, anew when that changes or
// Pacemaker has forgotten it, and that a broken file is told as such.
func TestDeclare(t *testing.T) {
	story(t, false, "", func(w *world) {
		a, b := w.nodes[0], w.nodes[1]
		one, ok := w.said(a)
		two, _ := w.said(b)
		if !ok || one != two || one.Config == "" || one.Problem != "" || one.Secret || one.Kernel == "" {
			t.Errorf("%+v and %+v; want the same, with a configuration and DRBD's version", one, two)
		}
		w.mu.Lock()
		delete(w.private, declare.Attribute)
		w.mu.Unlock()
		a.SetFile(config.DefaultSecretFile, "0123456789abcdef\n")
		w.sleep(declareEvery + 2*time.Second)
		again, ok := w.said(a)
		if want := (declare.Node{Version: one.Version, Config: one.Config, Secret: true, Kernel: one.Kernel, Utils: one.Utils}); !ok || again != want {
			t.Errorf("after it was forgotten: %+v, %v; want %+v", again, ok, want)
		}
		b.SetFile(config.DefaultFile, "no such thing")
		b.ask(func(o *owner) { o.reload() })
		w.sleep(2 * time.Second)
		if broken, _ := w.said(b); broken.Problem != declare.Invalid || broken.Config != one.Config {
			t.Errorf("with a broken file: %+v; want it named, and what is still in use", broken)
		}
	})
}
