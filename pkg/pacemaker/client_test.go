package pacemaker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// world is a machine whose Pacemaker is one node of a cluster.
type world struct {
	*hosttest.Host
	c        *pacemaker.Client
	mon      string            // what crm_mon prints
	values   map[string]string // of all nodes: "name node"
	private  map[string]bool   // by name, as it was first used
	failed   []string          // "resource node"
	exit     int               // of the next program, 0 for well
	complain string
}

func newWorld(t *testing.T) *world {
	h := hosttest.New(t)
	w := &world{Host: h, c: pacemaker.New(h), mon: recording(t, "promoted"), values: map[string]string{}, private: map[string]bool{}}
	for name, f := range map[string]func(host.Cmd) (string, error){
		"crm_mon": w.crmMon, "attrd_updater": w.attrd, "crm_resource": w.crmResource,
	} {
		h.Tool(name, func(c host.Cmd) (string, error) {
			if w.exit != 0 {
				return "", hosttest.Exit(c, w.exit, w.complain)
			}
			return f(c)
		})
	}
	return w
}

func (w *world) crmMon(host.Cmd) (string, error) { return w.mon, nil }

// attrd takes values as the real daemon does: case does not matter, and what
// looks like a sum is one.
func (w *world) attrd(c host.Cmd) (string, error) {
	const self = "drbdtest2"
	arg := func(key string) (string, bool) {
		i := slices.Index(c.Args, key)
		if i < 0 || i+1 == len(c.Args) {
			return "", i >= 0
		}
		return c.Args[i+1], true
	}
	name, _ := arg("--name")
	if slices.Contains(c.Args, "--query") {
		out := ""
		for _, node := range []string{"drbdtest1", self} {
			if v, ok := w.values[name+" "+node]; ok {
				out += fmt.Sprintf("name=\"%s\" host=\"%s\" value=\"%s\"\n", name, node, v)
			}
		}
		if out == "" {
			return "", hosttest.Exit(c, 78, "attrd_updater: Could not query value of "+name+": attribute does not exist")
		}
		return out, nil
	}
	if _, known := w.private[name]; !known {
		w.private[name] = slices.Contains(c.Args, "--private")
	}
	value, _ := arg("--update")
	if len(value) > 6 && value[5] == '+' && (value[6] == '+' || value[6] == '=') {
		value = "1"
	}
	if !strings.EqualFold(w.values[name+" "+self], value) {
		w.values[name+" "+self] = value
	}
	return "", nil
}

func (w *world) crmResource(c host.Cmd) (string, error) {
	w.failed = append(w.failed, c.Args[2]+" "+c.Args[4])
	return "Waiting for 1 reply from the controller\n... got reply (done)\n", nil
}

func ctx() context.Context { return context.Background() }

// Ensure that the status is asked for with one crm_mon, and understood.
func TestStatus(t *testing.T) {
	w := newWorld(t)
	st, err := w.c.Status(ctx())
	if err != nil || !st.Settled("nfs") || st.DC != "drbdtest2" {
		t.Errorf("%+v, %v", st, err)
	}
	if diff := cmp.Diff([]string{"crm_mon --one-shot --output-as=xml"}, w.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	w.mon = "Connection to cluster failed"
	if _, err := w.c.Status(ctx()); err == nil || !strings.HasPrefix(err.Error(), "crm_mon: ") {
		t.Errorf("other text: %v", err)
	}
	w.mon = recording(t, "cib-silent")
	if _, err := w.c.Status(ctx()); !errors.Is(err, pacemaker.ErrNoAnswer) {
		t.Errorf("no summary: %v", err)
	}
}

// Ensure that any bytes arrive as they are: also where values differ only in
// the case of their base 64, where that looks like a sum, and the empty value.
func TestPublish(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{
		`{"seq":1}`, "\x00\x00\x00", "\x68\x00\x00", "\x00\x00\x00\x03\xef\x80", "\x00\x0f\xbe", "", "ü\n\"&",
		strings.Repeat("\xff", pacemaker.MaxValue),
	} {
		if err := w.c.Publish(ctx(), "ev-res0", []byte(value)); err != nil {
			t.Fatal(err)
		}
		got, err := w.c.Query(ctx(), "ev-res0")
		if err != nil || string(got["drbdtest2"]) != value || len(got) != 1 {
			t.Errorf("published %.20q, got %.20q, %v", value, got, err)
		}
	}
	if n := len(w.values["ev-res0 drbdtest2"]); n > 33<<10 {
		t.Errorf("the longest value is %d bytes", n)
	}
	if !w.private["ev-res0"] {
		t.Error("the attribute is not private")
	}
}

// Ensure that values are written without capitals, plus signs and quotes.
func TestPublishText(t *testing.T) {
	w := newWorld(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	if err := w.c.Publish(ctx(), "ev", all); err != nil {
		t.Fatal(err)
	}
	text := w.values["ev drbdtest2"]
	if strings.Trim(text, ":0123456789abcdefghijklmnopqrstuv") != "" || !strings.HasPrefix(text, "v1:") {
		t.Errorf("written as %q", text)
	}
}

// Ensure that the programs get exactly these arguments.
func TestArguments(t *testing.T) {
	w := newWorld(t)
	_ = w.c.Publish(ctx(), "ev", []byte("abc"))
	_, _ = w.c.Query(ctx(), "ev")
	_ = w.c.SetNodeAttribute(ctx(), "victim", "res0")
	_ = w.c.ClearNodeAttribute(ctx(), "victim")
	want := []string{
		"attrd_updater --name ev --update v1:c5h66 --private",
		"attrd_updater --query --all --name ev",
		"attrd_updater --name victim --update res0",
		"attrd_updater --name victim --delete",
	}
	if diff := cmp.Diff(want, w.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"ev": true, "victim": false}, w.private); diff != "" {
		t.Errorf("private (-want +got):\n%s", diff)
	}
}

// Ensure that a name nobody has used, and values that were deleted, are not
// there, and that what somebody else wrote is told with the rest.
func TestQuery(t *testing.T) {
	w := newWorld(t)
	got, err := w.c.Query(ctx(), "ev")
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("unknown name: %v, %v", got, err)
	}
	w.exit, w.complain = 105, "Could not query value of ev: attribute does not exist" // before 2.1.3
	if got, err = w.c.Query(ctx(), "ev"); err != nil || got == nil || len(got) != 0 {
		t.Errorf("unknown name, old: %v, %v", got, err)
	}
	w.exit, w.complain = 105, "attrd_updater: Could not connect to attrd: No such file or directory"
	if got, err = w.c.Query(ctx(), "ev"); !errors.Is(err, pacemaker.ErrNotRunning) || got != nil {
		t.Errorf("no socket: %v, %v", got, err)
	}
	w.exit = 0
	w.values["ev drbdtest2"] = ""
	w.values["ev drbdtest1"] = "v1:c5h66"
	if got, err = w.c.Query(ctx(), "ev"); err != nil || !cmp.Equal(got, map[string][]byte{"drbdtest1": []byte("abc")}) {
		t.Errorf("one deleted: %q, %v", got, err)
	}
	for _, other := range []string{"1", "c5h66", "v1:C5H66", "v1:c5h6!", `v1:c5h66" value="x`, "v1:c5\nh66"} {
		w.values["ev drbdtest2"] = other
		got, err := w.c.Query(ctx(), "ev")
		if !errors.Is(err, pacemaker.ErrGarbled) || string(got["drbdtest1"]) != "abc" || len(got) != 1 {
			t.Errorf("%q: %q, %v", other, got, err)
		}
	}
}

// calls are all that talk to Pacemaker, with their operation.
var calls = []struct {
	op string
	do func(ctx context.Context, w *world) error
}{
	{"pacemaker.status", func(ctx context.Context, w *world) error { _, err := w.c.Status(ctx); return err }},
	{"pacemaker.publish", func(ctx context.Context, w *world) error { return w.c.Publish(ctx, "ev", []byte("secret of nobody")) }},
	{"pacemaker.query", func(ctx context.Context, w *world) error { _, err := w.c.Query(ctx, "ev"); return err }},
	{"pacemaker.set", func(ctx context.Context, w *world) error { return w.c.SetNodeAttribute(ctx, "victim", "1") }},
	{"pacemaker.clear", func(ctx context.Context, w *world) error { return w.c.ClearNodeAttribute(ctx, "victim") }},
	{"pacemaker.fail-look", func(ctx context.Context, w *world) error { return w.c.Fail(ctx, "nfs", "drbdtest2") }},
	{"pacemaker.fail", func(ctx context.Context, w *world) error { return w.c.Fail(ctx, "nfs", "drbdtest2") }},
}

// Ensure that each way in which a call can fail is told apart, and keeps what
// the program said.
func TestErrors(t *testing.T) {
	kinds := []error{pacemaker.ErrNotRunning, pacemaker.ErrNoAnswer, pacemaker.ErrNotThere, pacemaker.ErrOff, pacemaker.ErrGarbled}
	for _, tt := range []struct {
		exit int
		want error
	}{
		{102, pacemaker.ErrNotRunning}, // Connection refused; Connection reset by peer
		{69, pacemaker.ErrNotRunning},
		{105, pacemaker.ErrNotRunning}, // No such file or directory
		{124, pacemaker.ErrNoAnswer},
		{113, pacemaker.ErrNoAnswer},
		{75, pacemaker.ErrNoAnswer},
		{4, nil},
		{1, nil},
		{127, nil},
	} {
		for _, c := range calls {
			w := newWorld(t)
			w.On(c.op, func() { w.exit, w.complain = tt.exit, "Connection refused" })
			err := c.do(ctx(), w)
			var ee *host.ExitError
			if !errors.As(err, &ee) || ee.Code != tt.exit || ee.Op != c.op || !strings.Contains(err.Error(), "Connection refused") {
				t.Errorf("%s, exit code %d: %v", c.op, tt.exit, err)
			}
			for _, kind := range kinds {
				if errors.Is(err, kind) != errors.Is(tt.want, kind) {
					t.Errorf("%s, exit code %d: is %q: %t", c.op, tt.exit, kind, errors.Is(err, kind))
				}
			}
		}
	}
}

// Ensure that a program that is not installed is a cluster that does not run.
func TestNotInstalled(t *testing.T) {
	for _, c := range calls {
		w := newWorld(t)
		w.Fail(c.op, fmt.Errorf("attrd_updater: %w", host.ErrNotInstalled))
		if err := c.do(ctx(), w); !errors.Is(err, pacemaker.ErrNotRunning) || !errors.Is(err, host.ErrNotInstalled) {
			t.Errorf("%s: %v", c.op, err)
		}
	}
}

// Ensure that no call outlasts its bound when Pacemaker hangs, and that the
// caller's own end is not taken for that.
func TestHang(t *testing.T) {
	for _, c := range calls {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.Hang(c.op)
			start := time.Now()
			err := c.do(ctx(), w)
			if !errors.Is(err, pacemaker.ErrNoAnswer) || time.Since(start) > 30*time.Second {
				t.Errorf("%s: after %s: %v", c.op, time.Since(start), err)
			}
			own, cancel := context.WithTimeout(ctx(), time.Second)
			defer cancel()
			if err := c.do(own, w); errors.Is(err, pacemaker.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: at the caller's end: %v", c.op, err)
			}
		})
	}
}

// Ensure that an error does not repeat the value that was to be published.
func TestErrorWithoutValue(t *testing.T) {
	w := newWorld(t)
	w.exit, w.complain = 102, "attrd_updater: Could not update"
	err := w.c.Publish(ctx(), "ev", []byte("abc"))
	if err == nil || strings.Contains(err.Error(), "c5h66") || !strings.Contains(err.Error(), "--update v1:... --private") {
		t.Error(err)
	}
}

// Ensure that nothing is run for names and values that a program could take
// for an option or for more than one word.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"", "-D", "--all", "a b", "a\"b", "a\nb", "ä", strings.Repeat("a", 101)} {
		for what, err := range map[string]error{
			"publish":  w.c.Publish(ctx(), name, nil),
			"set":      w.c.SetNodeAttribute(ctx(), name, "1"),
			"value":    w.c.SetNodeAttribute(ctx(), "victim", name),
			"clear":    w.c.ClearNodeAttribute(ctx(), name),
			"resource": w.c.Fail(ctx(), name, "drbdtest1"),
			"node":     w.c.Fail(ctx(), "nfs", name),
		} {
			if !errors.Is(err, pacemaker.ErrName) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
		if _, err := w.c.Query(ctx(), name); !errors.Is(err, pacemaker.ErrName) {
			t.Errorf("query %q: %v", name, err)
		}
	}
	if err := w.c.Publish(ctx(), "ev", make([]byte, pacemaker.MaxValue+1)); !errors.Is(err, pacemaker.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if got := w.Commands(); len(got) > 0 {
		t.Errorf("ran %q", got)
	}
}

// Ensure that a resource is failed where it runs and is taken care of, and that
// nothing is done elsewhere.
func TestFail(t *testing.T) {
	served := recording(t, "promoted")
	for _, tt := range []struct {
		name, mon, resource, node string
		want                      error
	}{
		{"promoted", served, "nfs", "drbdtest2", nil},
		{"unpromoted", served, "nfs", "drbdtest1", nil},
		{"no such node", served, "nfs", "drbdtest3", pacemaker.ErrNotThere},
		{"no such resource", served, "web", "drbdtest1", pacemaker.ErrNotThere},
		{"the clone's name", served, "nfs-clone", "drbdtest1", pacemaker.ErrNotThere},
		{"stopped", recording(t, "standby"), "nfs", "drbdtest1", pacemaker.ErrNotThere},
		{"starting", recording(t, "starting"), "nfs", "drbdtest1", pacemaker.ErrNotThere},
		{"maintenance", strings.Replace(served, `maintenance-mode="false"`, `maintenance-mode="true"`, 1), "nfs", "drbdtest2", pacemaker.ErrOff},
		{"node in maintenance", strings.Replace(served, `maintenance="false"`, `maintenance="true"`, 1), "nfs", "drbdtest1", pacemaker.ErrOff},
		{"the other node in maintenance", strings.Replace(served, `maintenance="false"`, `maintenance="true"`, 1), "nfs", "drbdtest2", nil},
		{"unmanaged there", strings.Replace(served, `blocked="false" managed="true"`, `blocked="false" managed="false"`, 1), "nfs", "drbdtest2", pacemaker.ErrOff},
		{"disabled", strings.Replace(served, `disabled="false" failed`, `disabled="true" failed`, 1), "nfs", "drbdtest2", pacemaker.ErrOff},
		{"no answer", recording(t, "cib-silent"), "nfs", "drbdtest2", pacemaker.ErrNoAnswer},
	} {
		w := newWorld(t)
		w.mon = tt.mon
		err := w.c.Fail(ctx(), tt.resource, tt.node)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		var want []string
		if tt.want == nil {
			want = []string{tt.resource + " " + tt.node}
		}
		if !cmp.Equal(w.failed, want) {
			t.Errorf("%s: failed %q, want %q", tt.name, w.failed, want)
		}
	}
}

// Ensure that the command is the one of Pacemaker 2.1.5 and 2.1.7, and that a
// node that has just left is not taken for a cluster that is stopped.
func TestFailCommand(t *testing.T) {
	w := newWorld(t)
	if err := w.c.Fail(ctx(), "nfs", "drbdtest2"); err != nil {
		t.Fatal(err)
	}
	want := []string{"crm_mon --one-shot --output-as=xml", "crm_resource --fail --resource nfs --node drbdtest2"}
	if diff := cmp.Diff(want, w.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Ensure that a node or a resource that has left since the look is not taken
// for a cluster that is stopped, in the words of Pacemaker 2.1.5 and 2.1.7.
func TestFailTooLate(t *testing.T) {
	for _, tt := range []struct {
		exit int
		text string
		want error
	}{
		{102, "Node drbdtest2 is not online\ncrm_resource: Error performing operation: Not connected", pacemaker.ErrNotThere},
		{105, "crm_resource: Node 'drbdtest2' not found\nError performing operation: No such object", pacemaker.ErrNotThere},
		{68, "crm_resource: Node 'drbdtest2' not found\nError performing operation: Host not found", pacemaker.ErrNotThere},
		{105, "Resource nfs not found\ncrm_resource: Error performing operation: No such object", pacemaker.ErrNotThere},
		{102, "crm_resource: Could not connect to the CIB: Transport endpoint is not connected", pacemaker.ErrNotRunning},
	} {
		w := newWorld(t)
		w.On("pacemaker.fail", func() { w.exit, w.complain = tt.exit, tt.text })
		err := w.c.Fail(ctx(), "nfs", "drbdtest2")
		if !errors.Is(err, tt.want) || errors.Is(err, pacemaker.ErrNotThere) == errors.Is(err, pacemaker.ErrNotRunning) {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("name=\"ev\" host=\"drbdtest1\" value=\"v1:c5h66\"\n")
	f.Add("name=\"ev\" host=\"drbdtest1\" value=\"\"\nname=\"ev\" host=\"b\" value=\"1\"")
	f.Fuzz(func(t *testing.T, text string) {
		h := hosttest.New(t)
		h.Tool("attrd_updater", func(host.Cmd) (string, error) { return text, nil })
		got, err := pacemaker.New(h).Query(ctx(), "ev")
		if err != nil && !errors.Is(err, pacemaker.ErrGarbled) {
			t.Errorf("%q: %v", text, err)
		}
		if len(got) > strings.Count(text, "v1:") {
			t.Errorf("%q: %q", text, got)
		}
	})
}
