package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// InstallAgent puts the agent under test on both storage nodes: the binary that
// LAB_AGENT names, or the RPM that LAB_RPM names, or the newest RPM in the
// checkout's dist folder, which is built by "make rpm" when it is missing or
// older than the sources.
func (c *Cluster) InstallAgent(ctx context.Context) error {
	if agent := os.Getenv("LAB_AGENT"); agent != "" {
		return c.Rig.Log.Step("installing the agent "+agent+" (no package)", 0, func() error {
			return c.EachNode(ctx, func(ctx context.Context, node string) error { return c.copyAgent(ctx, node, agent) })
		})
	}
	rpm, err := c.findRPM(ctx)
	if err != nil {
		return err
	}
	return c.Rig.Log.Step("installing "+filepath.Base(rpm)+" with rpm -U", 10*time.Second, func() error {
		return c.EachNode(ctx, func(ctx context.Context, node string) error { return c.installRPM(ctx, node, rpm) })
	})
}

func (c *Cluster) copyAgent(ctx context.Context, node, agent string) error {
	if err := c.Rig.Put(ctx, node, agent, AgentBin, "0755"); err != nil {
		return err
	}
	_, err := c.Rig.SSH(ctx, node, `echo 'd /run/drbdnfs 0700 root root -' >/usr/lib/tmpfiles.d/drbdnfs.conf
systemd-tmpfiles --create /usr/lib/tmpfiles.d/drbdnfs.conf; sync`)
	return err
}

// installRPM installs the package in a running system. Debian's rpm wants to be
// told twice that it is meant, and knows none of the dependencies, which are
// Debian packages here. The output must not hold an error of a scriptlet, for
// rpm's exit status does not tell of those.
func (c *Cluster) installRPM(ctx context.Context, node, rpm string) error {
	if err := c.Rig.Put(ctx, node, rpm, "/root/drbdnfs.rpm", "0644"); err != nil {
		return err
	}
	out, err := c.Rig.SSH(ctx, node, `set -e
rpm --force-debian --dbpath /var/lib/rpm -U --nodeps --replacepkgs --oldpackage /root/drbdnfs.rpm 2>&1
systemctl daemon-reload
[ -x `+AgentBin+` ]
systemd-tmpfiles --create; [ -d /run/drbdnfs ]; sync`)
	if err != nil {
		return fmt.Errorf("rpm -U: %w", err)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "scriptlet failed") || strings.HasPrefix(line, "error:") {
			return fmt.Errorf("rpm -U on %s: %s", node, strings.TrimSpace(line))
		}
	}
	return nil
}

// findRPM returns the package to install, building it where that is needed.
func (c *Cluster) findRPM(ctx context.Context) (string, error) {
	if rpm := os.Getenv("LAB_RPM"); rpm != "" {
		return rpm, nil
	}
	newest, err := sourceTime(c.Rig.Checkout)
	if err != nil {
		return "", err
	}
	if rpm, at := newestRPM(c.Rig.Checkout); rpm != "" && at.After(newest) {
		return rpm, nil
	}
	err = c.Rig.Log.Step("building the RPM (make rpm)", 60*time.Second, func() error {
		cmd := exec.CommandContext(ctx, "make", "rpm")
		cmd.Dir = c.Rig.Checkout
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, lastLines(string(out), 20))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	rpm, _ := newestRPM(c.Rig.Checkout)
	if rpm == "" {
		return "", errors.New("make rpm left no dist/drbdnfs-*.x86_64.rpm")
	}
	return rpm, nil
}

func newestRPM(checkout string) (string, time.Time) {
	found, _ := filepath.Glob(filepath.Join(checkout, "dist", "drbdnfs-*.x86_64.rpm"))
	var best string
	var at time.Time
	for _, f := range found {
		if fi, err := os.Stat(f); err == nil && fi.ModTime().After(at) {
			best, at = f, fi.ModTime()
		}
	}
	return best, at
}

// sourceTime is the time of the last change of anything that goes into the RPM.
func sourceTime(checkout string) (time.Time, error) {
	var newest time.Time
	for _, root := range []string{"cmd", "ocf", "pkg", "packaging", "go.mod", "go.sum", "drbdnfs.spec"} {
		err := filepath.WalkDir(filepath.Join(checkout, root), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			fi, err := d.Info()
			if err == nil && fi.ModTime().After(newest) {
				newest = fi.ModTime()
			}
			return err
		})
		if err != nil {
			return newest, err
		}
	}
	return newest, nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
