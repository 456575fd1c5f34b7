package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/cluster"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
	"github.com/spacei/drbdnfs/pkg/setup/secret"
)

// world is one node with the programs that the stage runs, and what it hears
// from the others.
type world struct {
	*hosttest.Host
	t    *testing.T
	c    *config.Config
	self string

	enabled, active map[string]bool
	listening       map[string]bool // addresses where a pcsd listens
	ready           map[string]bool // nodes whose hacluster has the password
	online          map[string]bool
	dc              string
	loaded          map[string]string // corosync's settings in memory
	password        string            // of hacluster here
	stdin           map[string]string // what a program was given, by its first words

	// others is called whenever something is waited for: the rest of the world
	// moves on.
	others func(what string)
	waited []string
}

func pair() *config.Config {
	return &config.Config{
		Cluster: "nfs_cluster",
		Nodes: []config.Node{
			{Name: "drbdtest1", Address: "192.168.2.61"},
			{Name: "drbdtest2", Address: "192.168.2.62"},
		},
	}
}

const passwd = "root:x:0:0:root:/root:/bin/bash\nhacluster:x:189:189:cluster user:/var/lib/pacemaker:/sbin/nologin\n"

func newWorld(t *testing.T, self string, pcs bool, c *config.Config) *world {
	t.Helper()
	w := &world{
		Host: hosttest.New(t), t: t, c: c, self: self,
		enabled: map[string]bool{}, active: map[string]bool{}, listening: map[string]bool{}, ready: map[string]bool{},
		online: map[string]bool{}, loaded: map[string]string{}, stdin: map[string]string{},
		others: func(string) {},
	}
	w.SetFile("/etc/passwd", passwd)
	w.SetFile("/etc/group", "root:x:0:\nhaclient:x:189:\n")
	w.Tool("systemctl", w.systemctl)
	w.Tool("crm_mon", w.crmMon)
	w.Tool("chpasswd", w.chpasswd)
	w.Tool("corosync-cmapctl", w.cmapctl)
	w.Tool("corosync-cfgtool", w.cfgtool)
	if pcs {
		w.Tool("pcs", w.pcs)
	}
	return w
}

// setSecret puts the cluster's secret on this node.
func (w *world) setSecret() {
	w.t.Helper()
	if _, err := secret.Make(w, config.DefaultSecretFile); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) secret() secret.Secret {
	w.t.Helper()
	s, err := secret.Load(w, config.DefaultSecretFile)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// form makes this node a running member of a whole cluster with the given file.
func (w *world) form(text string) {
	w.SetFile(corosync.Path, text)
	for _, u := range []string{"corosync.service", "pacemaker.service", "pcsd.service"} {
		w.enabled[u], w.active[u] = true, true
	}
	w.allOnline()
	w.load()
}

func (w *world) allOnline() {
	for _, n := range w.c.Nodes {
		w.online[n.Name] = true
	}
	w.dc = w.c.Nodes[0].Name
}

// load has corosync read its file.
func (w *world) load() {
	text, _ := w.File(corosync.Path)
	clear(w.loaded)
	for key, section := range map[string]string{"token": "totem", "two_node": "quorum"} {
		if v := corosync.Value(text, section, key); v != "" {
			w.loaded[section+"."+key] = v
		}
	}
}

func (w *world) systemctl(c host.Cmd) (string, error) {
	if c.Args[0] == "show" {
		var out []string
		for _, u := range c.Args[2:] {
			load, file, active := "loaded", "disabled", "inactive"
			if w.enabled[u] {
				file = "enabled"
			}
			if w.active[u] {
				active = "active"
			}
			if u == "pcsd.service" {
				if _, err := w.LookPath("pcs"); err != nil {
					load, file = "not-found", ""
				}
			}
			out = append(out, fmt.Sprintf("Id=%s\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\n", u, load, active, file))
		}
		return strings.Join(out, "\n"), nil
	}
	for _, u := range c.Args[1:] {
		switch {
		case u == "--now":
		case c.Args[0] == "enable":
			w.enabled[u] = true
			w.active[u] = w.active[u] || slices.Contains(c.Args, "--now")
		case c.Args[0] == "start":
			if _, ok := w.File(corosync.Path); !ok {
				return "", hosttest.Exit(c, 1, "Job for "+u+" failed because the control process exited with error code.")
			}
			w.active[u], w.online[w.self] = true, true
			w.load()
		case c.Args[0] == "stop":
			w.active[u] = false
		}
	}
	if w.active["pcsd.service"] {
		n, _ := w.c.Node(w.self)
		w.listening[n.Address] = true
	}
	return "", nil
}

func (w *world) crmMon(c host.Cmd) (string, error) {
	if !w.active["pacemaker.service"] {
		return "", hosttest.Exit(c, 102, "crm_mon: Connection to cluster failed: Transport endpoint is not connected")
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<pacemaker-result api-version="2.25"><summary><current_dc present="%v" name="%s" with_quorum="true"/></summary><nodes>`, w.dc != "", w.dc)
	for _, n := range w.c.Nodes {
		fmt.Fprintf(&b, `<node name="%s" online="%v" pending="false"/>`, n.Name, w.online[n.Name])
	}
	return b.String() + "</nodes></pacemaker-result>", nil
}

func (w *world) chpasswd(c host.Cmd) (string, error) {
	user, password, ok := strings.Cut(strings.TrimSuffix(string(c.Stdin), "\n"), ":")
	if !ok || user != "hacluster" {
		return "", hosttest.Exit(c, 1, "chpasswd: line 1: missing new password")
	}
	w.password, w.ready[w.self] = password, true
	return "", nil
}

func (w *world) cmapctl(c host.Cmd) (string, error) {
	if !w.active["corosync.service"] {
		return "", hosttest.Exit(c, 1, "Failed to initialize the cmap API. Error CS_ERR_LIBRARY")
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(w.loaded)) {
		fmt.Fprintf(&b, "%s (u32) = %s\n", k, w.loaded[k])
	}
	return b.String(), nil
}

func (w *world) cfgtool(host.Cmd) (string, error) {
	w.load()
	return "Reloading corosync.conf...\nDone\n", nil
}

// pcs is what pcs does here, as its source has it.
func (w *world) pcs(c host.Cmd) (string, error) {
	switch strings.Join(c.Args[:2], " ") {
	case "host auth":
		return "", w.auth(c)
	case "cluster setup":
		for _, f := range []string{corosync.Path, "/var/lib/pacemaker/cib/cib.xml"} {
			if _, ok := w.File(f); ok {
				return "", hosttest.Exit(c, 1, "Error: "+w.self+": The host seems to be in a cluster already as cluster configuration "+
					"files have been found on the host\nError: Some nodes are already in a cluster. Enforcing this will destroy existing cluster on those nodes.")
			}
		}
		clear(w.enabled) // it disables the services first
		w.enabled["pcsd.service"] = true
		w.SetFile(corosync.Path, corosync.Render(w.c))
		return "", nil
	case "cluster config":
		text, _ := w.File(corosync.Path)
		w.SetFile(corosync.Path, corosync.Set(text, "totem", "token", strings.TrimPrefix(c.Args[len(c.Args)-1], "token=")))
		w.load()
		return "", nil
	case "cluster sync":
		return "", nil
	}
	return "", hosttest.Exit(c, 1, "Usage: pcs")
}

func (w *world) auth(c host.Cmd) error {
	w.stdin["pcs host auth"] = string(c.Stdin)
	var bad []string
	for _, n := range w.c.Nodes {
		if !w.ready[n.Name] || string(c.Stdin) != w.secret().HAClusterPassword()+"\n" {
			bad = append(bad, "Error: "+n.Name+": Username and/or password is incorrect")
		}
	}
	if len(bad) > 0 {
		return hosttest.Exit(c, 1, strings.Join(bad, "\n"))
	}
	return nil
}

// DialContext is whether a pcsd listens.
func (w *world) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	if hostname, port, _ := net.SplitHostPort(address); port == "2224" && w.listening[hostname] {
		a, _ := net.Pipe()
		return a, nil
	}
	return nil, errors.New("connection refused")
}

// Waiting is setup.Progress.
func (w *world) Waiting(what string) {
	if len(w.waited) == 0 || w.waited[len(w.waited)-1] != what {
		w.waited = append(w.waited, what)
	}
	w.others(what)
}

// Fraction is setup.Progress.
func (*world) Fraction(float64, string) {}

func (w *world) stage() *cluster.Stage {
	return cluster.New(cluster.Options{Machine: w, Config: w.c, Self: w.self, Dialer: w})
}

func (w *world) look() []setup.Item {
	w.t.Helper()
	items, err := w.stage().Look(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return items
}

// limit is how long an apply may take in the world's time.
const limit = 10 * time.Minute

// apply is one run of setup.
func (w *world) apply(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	items, err := w.stage().Look(ctx)
	if err != nil {
		return err
	}
	for _, it := range items {
		if it.Action == setup.Refuse {
			return fmt.Errorf("refused: %s: %s", it.Object, it.Detail)
		}
	}
	for _, it := range items {
		if it.Do == nil {
			continue
		}
		if err := it.Do(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", it.Object, err)
		}
	}
	return nil
}

// quiet fails the test unless there is nothing left to do.
func (w *world) quiet() {
	w.t.Helper()
	for _, it := range w.look() {
		if it.Action != setup.Keep && it.Action != setup.Warn && it.Action != setup.Other {
			w.t.Errorf("still to do: %s %s: %s", it.Action, it.Object, it.Detail)
		}
	}
}

// pcsAnswers has the other nodes run their setup when this one waits for them:
// the password is set some time after pcsd has started.
func (w *world) pcsAnswers() {
	tries := 0
	w.others = func(what string) {
		switch {
		case strings.Contains(what, "no pcsd at"):
			for _, n := range w.c.Nodes {
				w.listening[n.Address] = true
			}
		case strings.Contains(what, "next attempt"):
			if tries++; tries == 2 {
				for _, n := range w.c.Nodes {
					w.ready[n.Name] = true
				}
			}
		case strings.Contains(what, "forms the cluster"):
			if _, ok := w.File(corosync.Path); !ok {
				w.SetFile(corosync.Path, corosync.Render(w.c))
			}
		case w.active["pacemaker.service"]:
			w.allOnline()
		}
	}
}
