package admin_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
)

// answer is a machine whose drbdadm answers one way.
type answer struct {
	out, stderr string
	code        int
	argv        *[]string
}

// Run records the command and answers.
func (a answer) Run(_ context.Context, c host.Cmd) (host.Result, error) {
	argv := append([]string{c.Name}, c.Args...)
	*a.argv = append(*a.argv, strings.Join(argv, " "))
	res := host.Result{Stdout: []byte(a.out), Stderr: []byte(a.stderr)}
	if a.code != 0 {
		return res, &host.ExitError{Op: c.Op, Argv: argv, Code: a.code, Stderr: a.stderr}
	}
	return res, nil
}

// ReadFile finds nothing.
func (answer) ReadFile(string) ([]byte, error) { return nil, fs.ErrNotExist }

// What drbd-utils 9.22.0 printed for a blank loop device and one with metadata.
const (
	giNew  = "0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:1:0:0:0:0:0:0:0\n"
	giUsed = "AF7C863BC4779AFD:B8602D562BDDA7F6:0000000000000000:0000000000000000:1:1:1:1:0:0:0:0:0:0:0:1\n"
	taken  = "There appears to be a v09 flexible-size internal meta data block\nalready in place on /dev/loop0 at byte offset 67104768\n" +
		"Do you really want to overwrite the existing meta-data?\nstdin not a TTY, not waiting for confirmation\nOperation cancelled."
)

// Ensure that each verb runs the right command and understands the answers.
func TestMetadataVerbs(t *testing.T) {
	has := func(a *admin.Admin) (any, error) { return a.HasMetadata(t.Context(), "res0") }
	created := func(a *admin.Admin) (any, error) { return a.JustCreated(t.Context(), "res0") }
	backing := func(a *admin.Admin) (any, error) { return a.BackingDevice(t.Context(), "res0") }
	create := func(peers int) func(*admin.Admin) (any, error) {
		return func(a *admin.Admin) (any, error) { return nil, a.CreateMetadata(t.Context(), "res0", peers) }
	}
	force := func(a *admin.Admin) (any, error) { return nil, a.ForcePrimary(t.Context(), "res0") }
	check := func(a *admin.Admin) (any, error) { return nil, a.CheckFile(t.Context(), "/run/x.res") }
	for _, tt := range []struct {
		name string
		do   func(*admin.Admin) (any, error)
		says answer
		argv string
		want any
		is   error
	}{
		{"metadata is there", has, answer{out: "version \"v09\";\n"}, "drbdadm dump-md res0", true, nil},
		{"no metadata", has, answer{code: 1, stderr: "No valid meta data found"}, "drbdadm dump-md res0", false, nil},
		{"unclean metadata", has, answer{code: 20, stderr: `Found meta data is "unclean", please apply-al first`}, "drbdadm dump-md res0", true, nil},
		{"metadata in use", has, answer{code: 20, stderr: "Device '1000' is configured!"}, "drbdadm dump-md res0", false, errAny},
		{"just created", created, answer{out: giNew}, "drbdadm get-gi res0", true, nil},
		{"just created, Primary", created, answer{out: strings.Replace(giNew, "4:", "5:", 1)}, "drbdadm get-gi res0", true, nil},
		{"used", created, answer{out: giUsed + giNew}, "drbdadm get-gi res0", false, nil},
		{"no identifiers", created, answer{out: "none\n"}, "drbdadm get-gi res0", false, errAny},
		{"not configured", created, answer{code: 1, stderr: "'res0' not defined in your config (for this host)."}, "drbdadm get-gi res0", false, admin.ErrUnknownResource},
		{"backing device", backing, answer{out: "/dev/drbdpool/res0\n"}, "drbdadm sh-ll-dev res0", "/dev/drbdpool/res0", nil},
		{"diskless", backing, answer{out: "none\n"}, "drbdadm sh-ll-dev res0", "", nil},
		{"no device", backing, answer{out: "what\n"}, "drbdadm sh-ll-dev res0", "", errAny},
		{"create for DRBD 9", create(7), answer{}, "drbdadm create-md --max-peers=7 res0", nil, nil},
		{"create for DRBD 8.4", create(0), answer{}, "drbdadm create-md res0", nil, nil},
		{"create where something is", create(7), answer{code: 1, stderr: taken}, "drbdadm create-md --max-peers=7 res0", nil, errAny},
		{"force", force, answer{}, "drbdadm primary --force res0", nil, nil},
		{"force refused", force, answer{code: 11, stderr: "res0: State change failed: (-1) Multiple primaries not allowed by config"}, "drbdadm primary --force res0", nil, admin.ErrRefused},
		{"file that parses", check, answer{}, "drbdadm --config-file=/run/x.res sh-nop", nil, nil},
		{"file that does not", check, answer{code: 10, stderr: "/run/x.res:2: Parse error"}, "drbdadm --config-file=/run/x.res sh-nop", nil, admin.ErrBrokenConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var argv []string
			tt.says.argv = &argv
			got, err := tt.do(admin.New(tt.says))
			if diff := cmp.Diff([]string{tt.argv}, argv); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			checkError(t, err, tt.is, tt.says.code*btoi(tt.is != nil))
			if errors.Is(tt.is, errAny) && err == nil {
				t.Error("no error")
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Ensure that nothing runs for a name that drbdadm would take for something else.
func TestMetadataVerbsCheckNames(t *testing.T) {
	var argv []string
	a, ctx := admin.New(answer{argv: &argv}), t.Context()
	_, hasErr := a.HasMetadata(ctx, "all")
	_, newErr := a.JustCreated(ctx, "all")
	_, devErr := a.BackingDevice(ctx, "all")
	for name, err := range map[string]error{
		"dump-md": hasErr, "get-gi": newErr, "sh-ll-dev": devErr,
		"create-md": a.CreateMetadata(ctx, "all", 7), "force": a.ForcePrimary(ctx, "--all"),
	} {
		if !errors.Is(err, admin.ErrName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if argv != nil {
		t.Errorf("ran %q", argv)
	}
}
