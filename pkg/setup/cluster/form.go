package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
	"github.com/spacei/drbdnfs/pkg/setup/secret"
)

// pcsdPort is where pcsd listens.
const pcsdPort = "2224"

// lookUnformed is a node that belongs to no cluster. The password comes last of
// what the first node's "pcs cluster setup" needs here, because that node takes
// a login that works for the sign that this one is ready.
func (s *Stage) lookUnformed(f *facts) []setup.Item {
	items := append([]setup.Item{s.secretItem(f)}, s.leftovers(f)...)
	if f.pcs {
		items = append(items, s.pcsdItem(f), s.passwordItem(f))
	}
	items = append(items, s.formItem(f), s.bootItem(f), s.runItem(f), s.memberItem(f))
	if s.c.Corosync.QDevice.Host != "" {
		items = append(items, setup.Item{
			Object: qdeviceObject(s.c), Action: setup.Later, Detail: "once the cluster is formed", Key: qdeviceKey,
		})
	}
	return items
}

// formItem makes the cluster.
func (s *Stage) formItem(f *facts) setup.Item {
	it := setup.Item{Object: "cluster " + s.c.Cluster, Key: "cluster"}
	list := strings.Join(s.names(), ", ")
	switch {
	case !f.pcs:
		it.Action, it.Detail = setup.Make, "corosync.conf and authkeys written here, for "+list
		it.Why = "pcs is not installed: every node writes its own"
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.write(ctx) }
	case s.first():
		it.Action, it.Detail = setup.Make, "formed with pcs of "+list
		it.Why = "pcs sends corosync.conf and authkeys to all of them"
		it.Do = s.form
	default:
		it.Action, it.Detail = setup.Await, s.c.First().Name+" forms it"
		it.Do = s.awaitConf
	}
	return it
}

// awaitConf returns when the first node has sent corosync.conf.
func (s *Stage) awaitConf(ctx context.Context, p setup.Progress) error {
	first := s.c.First().Name
	err := setup.Poll(ctx, func() (bool, error) {
		f := &facts{}
		if err := s.readConf(f); err != nil {
			return false, err
		}
		if f.formed() {
			return true, s.checkName(f.conf)
		}
		p.Waiting(first + " forms the cluster: run drbdnfs setup apply there")
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s to form cluster %s: %w", first, s.c.Cluster, err)
	}
	return nil
}

func (s *Stage) checkName(have *corosync.Conf) error {
	if have.Name != s.c.Cluster {
		return fmt.Errorf("this node is in cluster %q now, not in %q", have.Name, s.c.Cluster)
	}
	return nil
}

// form makes the cluster with pcs.
func (s *Stage) form(ctx context.Context, p setup.Progress) error {
	f := &facts{}
	if err := s.readConf(f); err != nil {
		return err
	}
	if f.formed() {
		return s.checkName(f.conf)
	}
	if err := s.awaitPCSD(ctx, p); err != nil {
		return err
	}
	if err := s.authenticate(ctx, p); err != nil {
		return err
	}
	if err := s.setupCluster(ctx, p); err != nil {
		return fmt.Errorf("%w\nwhat an earlier attempt left on a node that holds nothing else is removed there with: pcs cluster destroy", err)
	}
	if err := s.readConf(f); err != nil {
		return err
	}
	if !f.formed() {
		return fmt.Errorf("pcs cluster setup ended well and %s has no cluster", corosync.Path)
	}
	return s.checkName(f.conf)
}

// setupAttempts is how often "pcs cluster setup" is run when a node answers too
// slowly.
const setupAttempts = 3

// setupCluster runs "pcs cluster setup". It gives each pcsd 60 s to destroy what
// the node has of a cluster, which a slow or busy machine exceeds (63 s were
// seen), and takes no --request-timeout. The node goes on all the same, so that
// the next attempt finds less to do; pcs itself refuses a node that got as far
// as being in a cluster.
func (s *Stage) setupCluster(ctx context.Context, p setup.Progress) error {
	for n := 1; ; n++ {
		p.Waiting("pcs cluster setup")
		_, err := s.pcs(ctx, "setup.pcs-setup", nil, s.setupArgs()...)
		if err == nil || n == setupAttempts || ctx.Err() != nil || !strings.Contains(err.Error(), "Connection timeout") {
			return err
		}
		s.log.Warn("a node answers too slowly for pcs, trying again", "err", err, "attempt", n)
	}
}

// awaitPCSD returns when the pcsd of every node listens.
func (s *Stage) awaitPCSD(ctx context.Context, p setup.Progress) error {
	lacks := ""
	err := setup.Poll(ctx, func() (bool, error) {
		var silent []string
		for _, n := range s.c.Nodes {
			if !s.listens(ctx, n.Address) {
				silent = append(silent, fmt.Sprintf("%s: run drbdnfs setup apply there (no pcsd at %s)", n.Name,
					net.JoinHostPort(n.Address, pcsdPort)))
			}
		}
		if lacks = strings.Join(silent, "; "); lacks != "" {
			p.Waiting(lacks)
		}
		return lacks == "", nil
	})
	if err != nil && lacks != "" {
		return fmt.Errorf("wait for pcsd: %s: %w", lacks, err)
	}
	return err
}

func (s *Stage) listens(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := s.dial.DialContext(ctx, "tcp", net.JoinHostPort(address, pcsdPort))
	if err != nil {
		return false
	}
	_ = c.Close() // nothing was said on it
	return true
}

// Pauses between two attempts to log in. Sites lock an account after a few wrong
// passwords, so the attempts are rare.
const (
	authPause    = 15 * time.Second
	authPauseMax = 2 * time.Minute
)

// authenticate has pcs here log in to every node. A node whose setup has not set
// the password yet refuses, so that it is tried again.
func (s *Stage) authenticate(ctx context.Context, p setup.Progress) error {
	sec, err := secret.Load(s.m, config.DefaultSecretFile)
	if err != nil {
		return err
	}
	args := []string{"host", "auth"}
	for _, n := range s.c.Nodes {
		args = append(args, n.Name, "addr="+n.Address)
	}
	args = append(args, "-u", hacluster)
	password := []byte(sec.HAClusterPassword() + "\n")
	for pause := authPause; ; pause = min(2*pause, authPauseMax) {
		p.Waiting("pcs host auth")
		_, err := s.pcs(ctx, "setup.pcs-auth", password, args...)
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		p.Waiting(fmt.Sprintf("%v; run drbdnfs setup apply on that node; next attempt in %v", err, pause))
		if ended := sleep(ctx, pause); ended != nil {
			return fmt.Errorf("%w; on that node: rm %s, then drbdnfs setup apply: %w", err, markFile, ended)
		}
	}
}

// passing reports whether pcs host auth may succeed later: the other node's
// setup has not set the password, or its pcsd has just started.
func passing(err error) bool {
	for _, said := range []string{"password is incorrect", "Unable to communicate", "Unexpected response", "newer known-hosts"} {
		if strings.Contains(err.Error(), said) {
			return true
		}
	}
	return false
}

// setupArgs are the arguments that form the cluster. pcs adds two_node, encrypted
// traffic and the keys by itself.
func (s *Stage) setupArgs() []string {
	args := []string{"cluster", "setup", s.c.Cluster}
	for _, n := range s.c.Nodes {
		args = append(args, n.Name, "addr="+n.Address)
		if n.SecondAddress != "" {
			args = append(args, "addr="+n.SecondAddress)
		}
	}
	args = append(args, "transport", corosync.Knet)
	if t := corosync.TokenMS(s.c); t > 0 {
		args = append(args, "totem", "token="+strconv.Itoa(t))
	}
	return args
}

// pcs runs pcs. Its error holds all that pcs complains of, not the last line
// alone.
func (s *Stage) pcs(ctx context.Context, op string, stdin []byte, args ...string) (host.Result, error) {
	res, err := s.m.Run(ctx, host.Cmd{Op: op, Name: "pcs", Args: args, Stdin: stdin})
	var exit *host.ExitError
	if !errors.As(err, &exit) {
		return res, err
	}
	var said []string
	for line := range strings.Lines(exit.Stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "Error: "); ok {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return res, err
	}
	return res, fmt.Errorf("pcs %s %s: %s", args[0], args[1], strings.Join(said, "; "))
}

// Files that hold the keys.
const (
	corosyncKey  = "/etc/corosync/authkey"
	pacemakerDir = "/etc/pacemaker"
	pacemakerKey = pacemakerDir + "/authkey"
)

// write makes this node's part of the cluster without pcs. corosync.conf comes
// last: its presence says that the rest is there.
func (s *Stage) write(ctx context.Context) error {
	f := &facts{}
	if err := s.readConf(f); err != nil {
		return err
	}
	if f.formed() {
		return s.checkName(f.conf)
	}
	sec, err := secret.Load(s.m, config.DefaultSecretFile)
	if err != nil {
		return err
	}
	gid, err := s.haclient()
	if err != nil {
		return err
	}
	if err := s.m.MkdirAll("setup.corosync-dir", "/etc/corosync", 0o755); err != nil {
		return err
	}
	if err := s.writeKey("setup.corosync-key", corosyncKey, sec.CorosyncKey(), 0o400, 0); err != nil {
		return err
	}
	if _, err := s.m.Lstat(pacemakerDir); errors.Is(err, fs.ErrNotExist) {
		if err := s.m.MkdirAll("setup.pacemaker-dir", pacemakerDir, 0o750); err != nil {
			return err
		}
	}
	if err := s.m.Chown("setup.pacemaker-dir-owner", pacemakerDir, 0, gid); err != nil {
		return err
	}
	if err := s.writeKey("setup.pacemaker-key", pacemakerKey, sec.PacemakerKey(), 0o640, gid); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.m.WriteFileAtomic("setup.corosync-conf", corosync.Path, []byte(corosync.Render(s.c)), 0o644)
}

// writeKey puts a key at file; another one that is there is set aside.
func (s *Stage) writeKey(op, file string, key []byte, perm fs.FileMode, gid int) error {
	have, err := s.m.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look at %s: %w", file, err)
	case !bytes.Equal(have, key):
		if err := s.setAside(op+"-aside", file); err != nil {
			return err
		}
	}
	if !bytes.Equal(have, key) {
		if err := s.m.WriteFileAtomic(op, file, key, perm); err != nil {
			return err
		}
	}
	return s.m.Chown(op+"-owner", file, 0, gid)
}

// haclient is the group that may use Pacemaker.
func (s *Stage) haclient() (int, error) {
	fields, err := s.entry("/etc/group", "haclient")
	if err != nil {
		return 0, err
	}
	if len(fields) < 3 {
		return 0, errors.New("group haclient is missing: it comes with the package pacemaker, install that again")
	}
	gid, err := strconv.Atoi(fields[2])
	if err != nil {
		return 0, fmt.Errorf("group haclient in /etc/group: %w", err)
	}
	return gid, nil
}
