package config_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/config"
)

// agentParams are the parameters that the agent gets from c.
func agentParams(c *config.Config) map[string]string {
	return map[string]string{
		"drbd_resource": c.Resource.Name,
		"directory":     c.Filesystem.Mount,
		"fstype":        c.Filesystem.Type,
		"mount_options": c.Filesystem.MountOptions,
		"exports":       c.ExportsText(),
		"vips":          c.VIPsText(),
		"ports":         c.PortsText(),
		"nfs_state_dir": c.NFS.StateDir,
		"nfs_versions":  strings.Join(c.NFS.Versions, " "),
		"nfs_threads":   strconv.Itoa(c.NFS.Threads),
		"lease_time":    strconv.Itoa(int(c.NFS.LeaseTime.D().Seconds())),
		"grace_time":    strconv.Itoa(int(c.NFS.GraceTime.D().Seconds())),
		"server_scope":  c.NFS.Scope,
	}
}

// Ensure that no file makes Parse panic, that each problem can be printed, and
// that a configuration without problems reads the same when it is shown, and
// is one that the agent takes.
func FuzzParse(f *testing.F) {
	f.Add(base(f))
	f.Add(config.Example())
	f.Add(edit(f, base(f), accepted, "mode = \"stonith\"\n"+devices))
	for _, tt := range broken {
		f.Add(edit(f, base(f), tt.pairs...))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("drbdnfs.toml", []byte(text))
		if err != nil {
			var problems *config.Errors
			if !errors.As(err, &problems) || len(*problems) == 0 || err.Error() == "" {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		if a, err := agent.ParseParams(c.Pacemaker.Group, agentParams(c)); err != nil || len(a.Group.VIPs) != len(c.VIPs) {
			t.Errorf("the agent: %v, addresses %v", err, a.Group.VIPs)
		}
		shown := c.Show()
		if strings.Contains(shown, `"(hidden)"`) {
			return
		}
		again, err := config.Parse("shown.toml", []byte(shown))
		if err != nil {
			t.Fatalf("shown and refused: %v\n%s", err, shown)
		}
		if diff := cmp.Diff(c, again, sameConfig); diff != "" {
			t.Errorf("shown and read again (-before +after)\n%s\n%s", diff, shown)
		}
	})
}
