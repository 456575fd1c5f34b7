package cluster

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
	"github.com/spacei/drbdnfs/pkg/setup/secret"
)

// Services, as systemd calls them.
const (
	corosyncUnit  = "corosync.service"
	pacemakerUnit = "pacemaker.service"
	qdeviceUnit   = "corosync-qdevice.service"
	pcsdUnit      = "pcsd.service"
)

const (
	cibDir  = "/var/lib/pacemaker/cib"
	cibFile = cibDir + "/cib.xml"
)

// facts are what is on this node.
type facts struct {
	pcs       bool
	units     map[string]unit
	text      string         // corosync.conf
	conf      *corosync.Conf // nil without the file
	confErr   error          // why the file cannot be read as one
	cib       cibState
	secret    secret.Secret
	secretErr error
	marked    bool              // hacluster has the secret's password
	user      bool              // hacluster exists
	members   pacemaker.Status  // where corosync and Pacemaker run
	reachable bool              // the pcsd of a node that is not online answers
	loaded    map[string]string // corosync's settings in memory; nil where they cannot be had
}

// formed reports whether this node has a corosync.conf that makes it part of a
// cluster.
func (f *facts) formed() bool { return f.conf != nil && !f.conf.Packaged() }

func (f *facts) running() bool { return f.units[corosyncUnit].active && f.units[pacemakerUnit].active }

func (s *Stage) look(ctx context.Context) (*facts, error) {
	f := &facts{}
	_, err := s.m.LookPath("pcs")
	f.pcs = err == nil
	if f.units, err = s.units(ctx); err != nil {
		return nil, err
	}
	if err := s.readConf(f); err != nil {
		return nil, err
	}
	f.secret, f.secretErr = secret.Load(s.m, config.DefaultSecretFile)
	if f.formed() {
		s.lookRunning(ctx, f)
		return f, ctx.Err()
	}
	f.marked = f.secretErr == nil && s.marked(f.secret)
	if f.cib, err = s.cib(); err != nil {
		return nil, err
	}
	f.user, err = s.listed("/etc/passwd", hacluster)
	return f, err
}

// lookRunning asks what runs. What does not answer tells nothing.
func (s *Stage) lookRunning(ctx context.Context, f *facts) {
	if f.units[corosyncUnit].active {
		f.loaded = s.loaded(ctx)
	}
	if !f.running() {
		return
	}
	f.members = s.members(ctx)
	for _, n := range s.c.Nodes {
		if s.first() && f.pcs && !f.members.Online(n.Name) && s.listens(ctx, n.Address) {
			f.reachable = true
		}
	}
}

func (s *Stage) readConf(f *facts) error {
	data, err := s.m.ReadFile(corosync.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("read corosync's configuration: %w", err)
	}
	f.text = string(data)
	f.conf, f.confErr = corosync.Parse(f.text)
	return nil
}

// unit is one service.
type unit struct{ loaded, enabled, active bool }

// units asks systemd for all services at once.
func (s *Stage) units(ctx context.Context) (map[string]unit, error) {
	names := []string{corosyncUnit, pacemakerUnit, qdeviceUnit, pcsdUnit}
	args := append([]string{"show", "--property=Id,LoadState,UnitFileState,ActiveState"}, names...)
	res, err := s.m.Run(ctx, host.Cmd{Op: "setup.cluster-units", Name: "systemctl", Args: args})
	if err != nil {
		return nil, fmt.Errorf("look at the services: %w", err)
	}
	units := map[string]unit{}
	for block := range strings.SplitSeq(string(res.Stdout), "\n\n") {
		p := map[string]string{}
		for line := range strings.Lines(block) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			p[k] = v
		}
		if p["Id"] != "" {
			units[p["Id"]] = unit{p["LoadState"] == "loaded", p["UnitFileState"] == "enabled", p["ActiveState"] == "active"}
		}
	}
	return units, nil
}

// loaded are corosync's settings as it has them in memory.
func (s *Stage) loaded(ctx context.Context) map[string]string {
	res, err := s.m.Run(ctx, host.Cmd{Op: "setup.corosync-cmap", Name: "corosync-cmapctl", Args: []string{"totem.", "quorum."}})
	if err != nil {
		return nil // what cannot be seen is not judged
	}
	out := map[string]string{}
	for line := range strings.Lines(string(res.Stdout)) {
		left, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if key, _, typed := strings.Cut(left, " ("); ok && typed {
			out[key] = value
		}
	}
	return out
}

// cibState says what Pacemaker's stored configuration holds.
type cibState int

const (
	cibAbsent cibState = iota
	cibEmpty           // no resource and no constraint: what Pacemaker makes when it starts
	cibUsed
)

func (s *Stage) cib() (cibState, error) {
	data, err := s.m.ReadFile(cibFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cibAbsent, nil
	case err != nil:
		return cibUsed, fmt.Errorf("read Pacemaker's configuration: %w", err)
	}
	return judgeCIB(data), nil
}

// judgeCIB takes for used what it cannot read.
func judgeCIB(data []byte) cibState {
	d := xml.NewDecoder(strings.NewReader(string(data)))
	inside := ""
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return cibEmpty
		case err != nil:
			return cibUsed
		}
		switch e := t.(type) {
		case xml.StartElement:
			if inside != "" {
				return cibUsed
			}
			switch e.Name.Local {
			case "resources", "constraints", "fencing-topology", "alerts", "acls":
				inside = e.Name.Local
			}
		case xml.EndElement:
			if e.Name.Local == inside {
				inside = ""
			}
		}
	}
}

// listed reports whether file, one of /etc/passwd and /etc/group, has an entry
// called name.
func (s *Stage) listed(file, name string) (bool, error) {
	fields, err := s.entry(file, name)
	return fields != nil, err
}

// entry returns the fields of an entry, nil when there is none.
func (s *Stage) entry(file, name string) ([]string, error) {
	data, err := s.m.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", name, err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name {
			return fields, nil
		}
	}
	return nil, nil
}

func countNodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
