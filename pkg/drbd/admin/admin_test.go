package admin_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// node is a machine whose DRBD tools are a script and whose files are a map.
type node struct {
	*host.Host
	dir   string
	files map[string]string
}

// ReadFile reads from the map alone.
func (n node) ReadFile(path string) ([]byte, error) {
	text, ok := n.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if text == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	return []byte(text), nil
}

// calls returns the command lines that were run, in order.
func (n node) calls(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.dir, "calls"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// newNode returns a machine with the scripted tools of testdata/kernel.
func newNode(t *testing.T, kernel string) node {
	t.Helper()
	data, err := filepath.Abs(filepath.Join("testdata", kernel))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"drbdsetup", "drbdadm"} {
		if err := os.Symlink(filepath.Join(data, "tool"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	version, err := os.ReadFile(filepath.Join(data, "proc-drbd"))
	if err != nil {
		t.Fatal(err)
	}
	return node{
		Host:  host.New(nil).WithPath(dir + ":/usr/bin:/bin"),
		dir:   dir,
		files: map[string]string{"/proc/drbd": string(version), "/var/lib/linstor.d/res0.res": "# generated"},
	}
}

const (
	nine = "drbd-9"
	old  = "drbd-8.4"
)

// named is a resource as Status would return it, with the given minors.
func named(name string, kernel84 bool, minors ...int) *drbd.Resource {
	r := &drbd.Resource{Name: name, Kernel84: kernel84, Devices: map[int]*drbd.Device{}}
	for v, m := range minors {
		r.Devices[v] = &drbd.Device{Volume: v, Minor: m}
	}
	return r
}

// verb is one call of the package under test.
type verb func(context.Context, *admin.Admin) error

func status(res string) verb {
	return func(ctx context.Context, a *admin.Admin) error { _, err := a.Status(ctx, res); return err }
}

func promote(r *drbd.Resource) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Promote(ctx, r) }
}

func demote(r *drbd.Resource) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Demote(ctx, r) }
}

func force(r *drbd.Resource) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.DemoteForce(ctx, r) }
}

func up(res string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Up(ctx, res) }
}

func adjust(res string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Adjust(ctx, res) }
}

func down(res string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Down(ctx, res) }
}

var verbTests = []struct {
	name, kernel string
	do           verb
	argv         []string
	is           error // nil: no error
	code         int   // of the ExitError in the chain, 0: none expected
	reason       string
}{
	{"status", nine, status("res0"), []string{"drbdsetup events2 --now --statistics res0"}, nil, 0, ""},
	{"status of what is not up", nine, status("gone"), []string{"drbdsetup events2 --now --statistics gone"}, admin.ErrUnknownResource, 0, ""},
	{"status that is no dump", nine, status("prose"), []string{"drbdsetup events2 --now --statistics prose"}, events2.ErrSyntax, 0, ""},
	{"status without netlink", nine, status("netlink"), []string{"drbdsetup events2 --now --statistics netlink"}, errAny, 20, "Could not connect to 'drbd' generic netlink family"},
	{"status when the module just went", nine, status("rmmod"), []string{"drbdsetup events2 --now --statistics rmmod"}, admin.ErrModuleNotLoaded, 20, ""},
	{"status on 8.4", old, status("res0"), []string{"drbdsetup events2 --now --statistics res0"}, nil, 0, ""},
	{"status of what is not up on 8.4", old, status("gone"), []string{"drbdsetup events2 --now --statistics gone"}, admin.ErrUnknownResource, 0, ""},

	{"promote", nine, promote(named("res0", false, 1000, 1001)), []string{"drbdsetup primary res0"}, nil, 0, ""},
	{
		"promote without good data", nine, promote(named("stale", false, 1000)),
		[]string{"drbdsetup primary stale"},
		admin.ErrNoUpToDate, 17, "State change failed: (-2) Need access to UpToDate data",
	},
	{
		"promote against a Primary peer", nine, promote(named("busy", false, 1000)),
		[]string{"drbdsetup primary busy"},
		admin.ErrRefused, 11, "State change failed: (-1) Multiple primaries not allowed by config",
	},
	{"promote what went down", nine, promote(named("gone", false, 1000)), []string{"drbdsetup primary gone"}, admin.ErrUnknownResource, 10, "Failure: (158) Unknown resource"},
	{"promote on 8.4", old, promote(named("res0", true, 0, 1)), []string{"drbdsetup primary 0", "drbdsetup primary 1"}, nil, 0, ""},
	{"promote on 8.4 stops at a refusal", old, promote(named("res0", true, 0, 17, 1)), []string{"drbdsetup primary 0", "drbdsetup primary 17"}, admin.ErrNoUpToDate, 17, ""},
	{"promote on 8.4 what went down", old, promote(named("res0", true, 99)), []string{"drbdsetup primary 99"}, admin.ErrUnknownResource, 10, ""},

	{"demote", nine, demote(named("res0", false, 1000)), []string{"drbdsetup secondary res0"}, nil, 0, ""},
	{
		"demote what is mounted", nine, demote(named("open", false, 1000)),
		[]string{"drbdsetup secondary open"},
		admin.ErrHeldOpen, 11, "State change failed: (-12) Device is held open by someone",
	},
	{"demote with an unknown code", nine, demote(named("odd", false, 1000)), []string{"drbdsetup secondary odd"}, errAny, 20, "odd: Error code -99 unknown."},
	{"demote on 8.4 goes on", old, demote(named("res0", true, 0, 11, 1)), []string{"drbdsetup secondary 0", "drbdsetup secondary 11", "drbdsetup secondary 1"}, admin.ErrHeldOpen, 11, ""},
	{"demote by force", nine, force(named("res0", false, 1000)), []string{"drbdsetup secondary --force res0"}, nil, 0, ""},
	{"demote by force on 8.4", old, force(named("res0", true, 0)), nil, admin.ErrNotOn84, 0, ""},

	{"up", nine, up("res0"), []string{"drbdadm up res0"}, nil, 0, ""},
	{"up without a configuration", nine, up("gone"), []string{"drbdadm up gone"}, admin.ErrUnknownResource, 1, ""},
	{"up with a broken configuration", nine, up("broken"), []string{"drbdadm up broken"}, admin.ErrBrokenConfig, 10, ""},
	{"up without a module", nine, up("kmod"), []string{"drbdadm up kmod"}, admin.ErrModuleNotLoaded, 20, ""},
	{"up without a disk is not a broken configuration", nine, up("disk"), []string{"drbdadm up disk"}, errAny, 10, "Failure: (104) Can not open backing device."},
	{
		"up of what is up", nine, up("twice"),
		[]string{"drbdadm up twice"},
		errAny, 10, "Failure: (161) Minor or volume exists already (delete it first)",
	},
	{"adjust", nine, adjust("res0"), []string{"drbdadm adjust res0"}, nil, 0, ""},
	{"adjust without a configuration", nine, adjust("gone"), []string{"drbdadm adjust gone"}, admin.ErrUnknownResource, 1, ""},
	{"adjust on 8.4", old, adjust("res0"), []string{"drbdadm adjust res0"}, nil, 0, ""},
	{"up on 8.4", old, up("res0"), []string{"drbdadm up res0"}, nil, 0, ""},

	{"down", nine, down("res0"), []string{"drbdadm down res0"}, nil, 0, ""},
	{"down with a broken configuration", nine, down("broken"), []string{"drbdadm down broken", "drbdsetup down broken"}, nil, 0, ""},
	{"down of what left the configuration", nine, down("gone"), []string{"drbdadm down gone", "drbdsetup down gone"}, nil, 0, ""},
	{"down of what is mounted", nine, down("open"), []string{"drbdadm down open"}, admin.ErrHeldOpen, 11, ""},
	{"down of what is mounted with a broken configuration", nine, down("stuck"), []string{"drbdadm down stuck", "drbdsetup down stuck"}, admin.ErrHeldOpen, 11, ""},
	{"down on 8.4", old, down("res0"), []string{"drbdadm down res0"}, nil, 0, ""},
	{"down on 8.4 of what left the configuration", old, down("gone"), []string{"drbdadm down gone", "drbdsetup down gone"}, nil, 0, ""},
}

func TestVerbs(t *testing.T) {
	for _, tt := range verbTests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.kernel)
			err := tt.do(t.Context(), admin.New(n))
			if diff := cmp.Diff(tt.argv, n.calls(t)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			checkError(t, err, tt.is, tt.code)
			if got := admin.Reason(err); tt.reason != "" && got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
}

// errAny stands for an error that is none of the package's sentinels.
var errAny = errors.New("any")

var sentinels = []error{
	admin.ErrModuleNotLoaded, admin.ErrUnknownResource, admin.ErrNoUpToDate, admin.ErrRefused,
	admin.ErrHeldOpen, admin.ErrBrokenConfig, admin.ErrName, admin.ErrNotOn84,
}

func checkError(t *testing.T, err, is error, code int) {
	t.Helper()
	switch {
	case is == nil && err != nil:
		t.Errorf("unexpected error: %v", err)
	case errors.Is(is, errAny):
		for _, s := range sentinels {
			if errors.Is(err, s) {
				t.Errorf("%v is %v", err, s)
			}
		}
	case is != nil && !errors.Is(err, is):
		t.Errorf("got %v, want %v", err, is)
	}
	if errors.Is(is, admin.ErrHeldOpen) && !errors.Is(err, admin.ErrRefused) {
		t.Errorf("%v is not ErrRefused", err)
	}
	if errors.Is(is, admin.ErrRefused) && !errors.Is(is, admin.ErrHeldOpen) && errors.Is(err, admin.ErrHeldOpen) {
		t.Errorf("%v is ErrHeldOpen", err)
	}
	var ee *host.ExitError
	if got := errors.As(err, &ee); got != (code != 0) {
		t.Fatalf("%v holds an ExitError: %v", err, got)
	}
	if ee != nil && ee.Code != code {
		t.Errorf("exit code %d, want %d", ee.Code, code)
	}
}

func TestStatusReadsBothKernels(t *testing.T) {
	for kernel, want := range map[string]struct {
		targets []string
		score   int
		peer    string
	}{
		nine: {[]string{"res0"}, drbd.ScoreBest, "drbdtest2"},
		old:  {[]string{"0", "1"}, drbd.ScoreBest, "peer"},
	} {
		t.Run(kernel, func(t *testing.T) {
			r, err := admin.New(newNode(t, kernel)).Status(t.Context(), "res0")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.targets, r.RoleTargets()); diff != "" {
				t.Errorf("role targets (-want +got):\n%s", diff)
			}
			if c := r.SortedConnections(); len(c) != 1 || c[0].Name != want.peer {
				t.Errorf("connections %v, want one to %s", c, want.peer)
			}
			if score, ok, why := drbd.PromotionScore(r); score != want.score || !ok {
				t.Errorf("score %d, %v (%s)", score, ok, why)
			}
			if size := r.Devices[0].SizeBytes; size != 614344<<10 {
				t.Errorf("size %d", size)
			}
		})
	}
}

func TestModuleNotLoaded(t *testing.T) {
	n := newNode(t, nine)
	delete(n.files, "/proc/drbd")
	a := admin.New(n)
	if _, err := a.Version(t.Context()); !errors.Is(err, admin.ErrModuleNotLoaded) {
		t.Errorf("version: %v", err)
	}
	if _, err := a.Status(t.Context(), "res0"); !errors.Is(err, admin.ErrModuleNotLoaded) {
		t.Errorf("status: %v", err)
	}
	if err := a.Down(t.Context(), "res0"); err != nil {
		t.Errorf("down: %v", err)
	}
	if got := n.calls(t); got != nil {
		t.Errorf("ran %q: drbdsetup would load the module", got)
	}
	if dev, err := a.Device(t.Context(), "down0"); dev != "/dev/drbd1005" || err != nil {
		t.Errorf("device from the configuration: %q, %v", dev, err)
	}
}

func TestVersion(t *testing.T) {
	for kernel, want := range map[string]string{nine: "9.1.23", old: "8.4.11"} {
		if v, err := admin.New(newNode(t, kernel)).Version(t.Context()); err != nil || v.String() != want {
			t.Errorf("%s: %v, %v", kernel, v, err)
		}
	}
	n := newNode(t, nine)
	n.files["/proc/drbd"] = "hello\n"
	if _, err := admin.New(n).Version(t.Context()); !errors.Is(err, drbd.ErrNoVersion) {
		t.Errorf("a strange /proc/drbd: %v", err)
	}
	n.files["/proc/drbd"] = ""
	if _, err := admin.New(n).Version(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unreadable /proc/drbd: %v", err)
	}
}

func TestDevice(t *testing.T) {
	tests := []struct {
		name, kernel, res, want string
		is                      error
		code                    int
	}{
		{"that is up", nine, "res0", "/dev/drbd1000", nil, 0},
		{"that is up on 8.4", old, "res0", "/dev/drbd0", nil, 0},
		{"from the configuration", nine, "down0", "/dev/drbd1005", nil, 0},
		{"of nobody", nine, "gone", "", admin.ErrUnknownResource, 1},
		{"that is none", nine, "strange", "", errAny, 0},
		{"when the kernel does not answer", nine, "netlink", "", errAny, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := admin.New(newNode(t, tt.kernel)).Device(t.Context(), tt.res)
			if got != tt.want || tt.is != nil && err == nil {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
			checkError(t, err, tt.is, tt.code)
		})
	}
}

func TestConfigured(t *testing.T) {
	tests := []struct {
		name, kernel, res string
		want              bool
		is                error
		code              int
	}{
		{"here", nine, "res0", true, nil, 0},
		{"here on 8.4", old, "res0", true, nil, 0},
		{"nowhere", nine, "gone", false, nil, 0},
		{"nowhere on 8.4", old, "gone", false, nil, 0},
		{"on other hosts only", nine, "away", false, nil, 0},
		{"in no configuration", nine, "none", false, nil, 0},
		{"in a broken configuration", nine, "broken", false, admin.ErrBrokenConfig, 10},
		{"with another complaint", nine, "usage", false, errAny, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.kernel)
			got, err := admin.New(n).Configured(t.Context(), tt.res)
			if got != tt.want || tt.is != nil && err == nil {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
			checkError(t, err, tt.is, tt.code)
			if diff := cmp.Diff([]string{"drbdadm sh-dev " + tt.res}, n.calls(t)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManagedByLINSTOR(t *testing.T) {
	n := newNode(t, nine)
	n.files["/var/lib/linstor.d/locked.res"] = ""
	a := admin.New(n)
	if got, err := a.ManagedByLINSTOR("res0"); !got || err != nil {
		t.Errorf("res0: %v, %v", got, err)
	}
	if got, err := a.ManagedByLINSTOR("other"); got || err != nil {
		t.Errorf("other: %v, %v", got, err)
	}
	if _, err := a.ManagedByLINSTOR("locked"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("locked: %v", err)
	}
}

// Ensure that nothing runs for a name that the tools would take for something else.
func TestNamesAreChecked(t *testing.T) {
	for _, res := range []string{"", "all", "--force", "res0/0", "a b", "../x"} {
		n := newNode(t, nine)
		a := admin.New(n)
		ctx := t.Context()
		_, statusErr := a.Status(ctx, res)
		_, deviceErr := a.Device(ctx, res)
		_, configuredErr := a.Configured(ctx, res)
		_, linstorErr := a.ManagedByLINSTOR(res)
		for name, err := range map[string]error{
			"status": statusErr, "device": deviceErr, "configured": configuredErr, "linstor": linstorErr,
			"up": a.Up(ctx, res), "adjust": a.Adjust(ctx, res), "down": a.Down(ctx, res),
			"promote": a.Promote(ctx, named(res, false)), "demote": a.Demote(ctx, named(res, false)), "force": a.DemoteForce(ctx, named(res, false)),
		} {
			if !errors.Is(err, admin.ErrName) {
				t.Errorf("%s %q: %v, want ErrName", name, res, err)
			}
		}
		if got := n.calls(t); got != nil {
			t.Errorf("%q ran %q", res, got)
		}
	}
}

func TestToolsNotInstalled(t *testing.T) {
	n := newNode(t, nine)
	n.Host = n.WithPath(t.TempDir())
	a := admin.New(n)
	if _, err := a.Status(t.Context(), "res0"); !errors.Is(err, host.ErrNotInstalled) {
		t.Errorf("status: %v", err)
	}
	if _, err := a.Configured(t.Context(), "res0"); !errors.Is(err, host.ErrNotInstalled) {
		t.Errorf("configured: %v", err)
	}
	if err := a.Down(t.Context(), "res0"); !errors.Is(err, host.ErrNotInstalled) {
		t.Errorf("down: %v", err)
	}
}

// Ensure that a deadline ends each verb and is what the error says.
func TestDeadline(t *testing.T) {
	n := newNode(t, nine)
	for _, name := range []string{"drbdsetup", "drbdadm"} {
		tool := filepath.Join(n.dir, name)
		if err := os.Remove(tool); err != nil {
			t.Fatal(err)
		}
		hosttest.Executable(t, tool, "#!/bin/sh\necho \"$0\" >> \"${0%/*}/calls\"\nexec sleep 60\n")
	}
	a := admin.New(n)
	for name, do := range map[string]func(context.Context) error{
		"status":  func(ctx context.Context) error { _, err := a.Status(ctx, "res0"); return err },
		"promote": func(ctx context.Context) error { return a.Promote(ctx, named("res0", false)) },
		"down":    func(ctx context.Context) error { return a.Down(ctx, "res0") },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	if got := len(n.calls(t)); got > 3 {
		t.Errorf("%d commands for three verbs: one went on after its deadline", got)
	}
}

func TestReason(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, ""},
		{"no tool involved", admin.ErrModuleNotLoaded, "DRBD kernel module is not loaded"},
		{"a silent tool", &host.ExitError{Argv: []string{"drbdadm", "up", "r"}, Code: 1}, "drbdadm up r: exit code 1"},
		{"the first line", &host.ExitError{Stderr: "one\ntwo"}, "one"},
		{"the state change after other lines", &host.ExitError{Stderr: "one\n0: State change failed: (-2) Need access to UpToDate data\nthree"}, "State change failed: (-2) Need access to UpToDate data"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := admin.Reason(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
