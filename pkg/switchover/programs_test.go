package switchover_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/host"
)

// change makes a change of a program, unless it is killed there.
func (w *cluster) change(f func() error) error {
	w.changes++
	if w.changes == w.killAt && !w.killAfter {
		w.die()
		return errKilled
	}
	err := f()
	if w.changes == w.killAt {
		w.die()
		return errKilled
	}
	return err
}

func (w *cluster) die() {
	w.dead, w.locked = true, false
	w.cancel()
}

// Run runs one of Pacemaker's or DRBD's programs.
func (w *cluster) Run(ctx context.Context, c host.Cmd) (host.Result, error) {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return host.Result{}, errKilled
	}
	if ctx.Err() != nil {
		w.mu.Unlock()
		return host.Result{}, ctx.Err()
	}
	if w.hang[c.Op] {
		w.mu.Unlock()
		<-ctx.Done()
		return host.Result{}, ctx.Err()
	}
	defer w.mu.Unlock()
	if err := w.fail[c.Op]; err != nil {
		return host.Result{}, err
	}
	w.argv = append(w.argv, strings.Join(append([]string{c.Name}, c.Args...), " "))
	out, err := w.program(c)
	return host.Result{Stdout: []byte(out)}, err
}

func (w *cluster) program(c host.Cmd) (string, error) {
	switch c.Name {
	case "crm_mon":
		return w.mon(), nil
	case "drbdsetup":
		return w.drbd, nil
	case "attrd_updater":
		if w.evidence == "" {
			return "", &host.ExitError{Code: 105, Stderr: "attribute does not exist"}
		}
		return w.evidence, nil
	case "crm_simulate":
		doc, err := cib.Parse(c.Stdin)
		if err != nil {
			return "", err
		}
		return w.forecast(doc), nil
	case "cibadmin":
		return w.cibadmin(c)
	case "crm_resource":
		return "", w.change(func() error {
			for _, n := range []string{"drbdtest1", "drbdtest2"} {
				if v := state(w.doc, n).FindElement(".//nvpair[@name='fail-count-nfs#promote_0']"); v != nil {
					v.Parent().RemoveChild(v)
				}
			}
			return nil
		})
	case "crm_attribute":
		return "", w.change(func() error { w.attribute(c.Args); return nil })
	}
	return "", fmt.Errorf("%s: %w", c.Name, host.ErrNotInstalled)
}

func (w *cluster) cibadmin(c host.Cmd) (string, error) {
	constraints := w.doc.FindElement("./cib/configuration/constraints")
	there := constraints.FindElement("./rsc_location[@id='nfs-move']")
	if c.Args[0] == "--query" {
		return w.doc.WriteToString()
	}
	return "", w.change(func() error {
		if c.Args[0] == "--delete" {
			by := ""
			if there != nil {
				by = there.FindElement("./rule/date_expression").SelectAttrValue("id", "")
			}
			if there != nil && strings.Contains(c.Args[2], "@id='"+by+"'") {
				constraints.RemoveChild(there)
			}
			return nil
		}
		if c.Args[0] == "--create" && there != nil {
			return &host.ExitError{Argv: []string{"cibadmin"}, Code: 108}
		}
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(c.Stdin); err != nil {
			return err
		}
		if there != nil {
			constraints.RemoveChild(there)
		}
		constraints.AddChild(doc.Root())
		return nil
	})
}

func (w *cluster) attribute(args []string) {
	node := w.doc.FindElement("./cib/configuration/nodes/node[@uname='" + args[3] + "']")
	if el := node.SelectElement("instance_attributes"); el != nil {
		node.RemoveChild(el)
	}
	if slices.Contains(args, "--update") {
		v := node.CreateElement("instance_attributes").CreateElement("nvpair")
		v.CreateAttr("name", "standby")
		v.CreateAttr("value", "on")
	}
}

// forecast is crm_simulate's XML.
func (w *cluster) forecast(doc *etree.Document) string {
	now, want := active(doc), w.schedule(doc)
	for _, n := range []string{"drbdtest1", "drbdtest2"} {
		if v := state(doc, n).FindElement(".//nvpair[@name='fail-count-nfs#promote_0']"); v != nil && n == want {
			want = now
		}
	}
	out := "<pacemaker-result><actions>"
	if now != want && now != "" {
		out += `<rsc_action action="demote" resource="nfs:0" role="Promoted" next-role="Unpromoted" node="` + now + `"/>`
	}
	if now != want && want != "" {
		out += `<rsc_action action="promote" resource="nfs:1" role="Unpromoted" next-role="Promoted" node="` + want + `"/>`
	}
	if doc.FindElement("./cib/configuration/constraints/rsc_colocation") != nil && now != want {
		out += `<rsc_action action="move" resource="web" source="` + now + `" dest="` + want + `"/>`
	}
	return out + "</actions></pacemaker-result>"
}

// mon is crm_mon's XML.
func (w *cluster) mon() string {
	var nodes, instances, attributes strings.Builder
	for _, n := range []string{"drbdtest1", "drbdtest2"} {
		fmt.Fprintf(&nodes, `<node name="%s" online="%v" standby="%v"/>`, n, !w.offline[n], standby(w.doc, n))
		role := map[string]string{"promote": "Promoted", "stop": "Stopped"}[task(w.doc, n)]
		if role == "" {
			role = "Unpromoted"
		}
		if role != "Stopped" {
			fmt.Fprintf(&instances, `<resource id="nfs" role="%s" pending="%s" managed="true"><node name="%s"/></resource>`, role, w.pending[n], n)
		} else {
			instances.WriteString(`<resource id="nfs" role="Stopped" managed="true"/>`)
		}
		if v := scoreElement(w.doc, n); v != nil {
			fmt.Fprintf(&attributes, `<node name="%s"><attribute name="master-nfs" value="%s"/></node>`, n, v.SelectAttrValue("value", ""))
		}
	}
	return fmt.Sprintf(`<pacemaker-result><summary><current_dc present="true" name="drbdtest1" with_quorum="%v"/><cluster_options maintenance-mode="false"/></summary>`+
		`<nodes>%s</nodes><resources><clone id="nfs-clone" managed="true" disabled="false">%s</clone></resources>`+
		`<node_attributes>%s</node_attributes><failures>%s</failures></pacemaker-result>`,
		w.quorum, nodes.String(), instances.String(), attributes.String(), strings.Join(w.failures, ""))
}

// ReadFile has DRBD's version alone.
func (w *cluster) ReadFile(path string) ([]byte, error) {
	if path == "/proc/drbd" && w.drbd != "" {
		return []byte("version: 9.1.23 (api:2/proto:86-121)\n"), nil
	}
	return nil, fs.ErrNotExist
}

// MkdirAll makes nothing.
func (w *cluster) MkdirAll(string, string, fs.FileMode) error { return nil }

// Lock is the node's lock.
func (w *cluster) Lock(ctx context.Context, _ string) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.locked {
		w.mu.Unlock()
		<-ctx.Done()
		w.mu.Lock()
		return nil, ctx.Err()
	}
	w.locked = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.locked = false
	}, nil
}

// RPCNull is answered in a millisecond where somebody has the address.
func (w *cluster) RPCNull(ctx context.Context, _ netip.AddrPort, _, _ uint32) error {
	w.mu.Lock()
	up := w.vip != "" && !w.offline[w.vip]
	w.mu.Unlock()
	if !up {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(time.Millisecond)
	return nil
}

// held reports whether the constraint is there.
func (w *cluster) held() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doc.FindElement("./cib/configuration/constraints/rsc_location[@id='nfs-move']") != nil
}

// constrain adds a constraint to the CIB.
func (w *cluster) constrain(t *testing.T, text string) {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		t.Fatal(err)
	}
	w.doc.FindElement("./cib/configuration/constraints").AddChild(doc.Root())
}
