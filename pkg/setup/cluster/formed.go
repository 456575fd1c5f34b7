package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
)

const (
	tokenKey   = "corosync.token"
	qdeviceKey = "corosync.qdevice.host"
)

// lookFormed is a node that belongs to a cluster.
func (s *Stage) lookFormed(f *facts) []setup.Item {
	var items []setup.Item
	switch {
	case f.secretErr == nil:
		items = append(items, keep(config.DefaultSecretFile, "the nodes' secret"))
	case !errors.Is(f.secretErr, fs.ErrNotExist):
		items = append(items, setup.Item{
			Object: config.DefaultSecretFile, Action: setup.Warn, Detail: f.secretErr.Error(),
			Why: "this cluster is formed and needs it no more; a node that joins later does",
		})
	}
	if f.pcs {
		items = append(items, s.pcsdItem(f))
	}
	own := s.clusterItems(f)
	items = append(items, own...)
	if slices.ContainsFunc(own, func(it setup.Item) bool { return it.Action == setup.Refuse }) {
		return items
	}
	items = append(items, s.bootItem(f), s.runItem(f), s.memberItem(f))
	if s.c.Corosync.QDevice.Host != "" {
		items = append(items, s.qdeviceItem(f))
	}
	return items
}

// clusterItems compares corosync.conf with the configuration.
func (s *Stage) clusterItems(f *facts) []setup.Item {
	var items []setup.Item
	same := true
	for _, d := range corosync.Compare(f.conf, corosync.Want(s.c)) {
		switch d.Kind {
		case corosync.Name, corosync.NodeMissing, corosync.NodeExtra:
			same = false
			items = append(items, s.foreign(f, d))
		case corosync.Token, corosync.TwoNode:
			items = append(items, s.change(f, d))
		case corosync.QDevice:
			if s.c.Corosync.QDevice.Host == "" {
				items = append(items, s.other(f, d))
			} // an item of its own otherwise
		case corosync.Address, corosync.Link, corosync.Transport, corosync.Crypto:
			items = append(items, s.other(f, d))
		}
	}
	if same {
		it := keep("cluster "+f.conf.Name, countNodes(len(f.conf.Nodes)))
		it.Key = "cluster"
		items = append([]setup.Item{it}, items...)
	}
	if it, ok := s.unloaded(f); ok {
		items = append(items, it)
	}
	return items
}

// foreign refuses another cluster, and other nodes: what to do with them is not
// setup's to decide.
func (s *Stage) foreign(f *facts, d corosync.Difference) setup.Item {
	object := "cluster " + f.conf.Name
	switch d.Kind {
	case corosync.NodeMissing:
		n, _ := s.c.Node(d.Node)
		why := "add it to the nodelist of corosync.conf on every node, copy /etc/corosync/authkey to it, and run: corosync-cfgtool -R"
		if f.pcs {
			why = fmt.Sprintf("pcs host auth %s addr=%s -u %s, then: pcs cluster node add %s addr=%s --enable --start",
				n.Name, n.Address, hacluster, n.Name, n.Address)
		}
		return refuse(object, d.String(), why+"; node names have to be the same here and there", s.nodeKey(d.Node, "name"))
	case corosync.NodeExtra:
		why := "add a [[node]] for it, or take it out of corosync.conf on every node and run: corosync-cfgtool -R"
		if f.pcs {
			why = "add a [[node]] for it, or run: pcs cluster node remove " + d.Node
		}
		return refuse(object, d.String(), why, "node")
	}
	why := fmt.Sprintf("set cluster = %q, or end that cluster if nothing of it is needed: ", f.conf.Name)
	if f.pcs {
		return refuse(object, d.String(), why+"pcs cluster destroy --all", "cluster")
	}
	return refuse(object, d.String(), why+"stop corosync on its nodes and remove "+corosync.Path, "cluster")
}

// nodeKey is the key of a field of the node called name.
func (s *Stage) nodeKey(name, field string) string {
	i := slices.IndexFunc(s.c.Nodes, func(n config.Node) bool { return n.Name == name })
	return fmt.Sprintf("node[%d].%s", i, field)
}

// other is a difference that cannot be changed while the group runs, or that a
// site may want. It works as it is.
func (s *Stage) other(f *facts, d corosync.Difference) setup.Item {
	it := setup.Item{Object: "cluster " + f.conf.Name, Action: setup.Warn, Detail: d.String(), Key: "cluster"}
	switch d.Kind {
	case corosync.Crypto:
		it.Why = "whoever reaches the cluster's network can read and forge its messages; encryption needs the same " +
			corosyncKey + " on every node and all of them stopped"
		if f.pcs {
			it.Why = "whoever reaches the cluster's network can read and forge its messages; to encrypt them: " +
				"pcs cluster authkey corosync; pcs cluster config update crypto cipher=aes256 hash=sha256"
		}
	case corosync.Transport:
		it.Why = "left as it is: it can only be changed with all nodes stopped, and only knet encrypts"
	case corosync.Address:
		it.Why = "left as it is; if the configuration is right, change corosync.conf on every node with all nodes stopped"
		it.Key = s.nodeKey(d.Node, "address")
	case corosync.Link:
		it.Why = "left as it is; a link is added on every node's corosync.conf, then: corosync-cfgtool -R"
		if f.pcs {
			it.Why = "left as it is; a link is added for all nodes at once with: pcs cluster link add NODE=ADDRESS ..."
		}
		it.Key = s.nodeKey(d.Node, "second_address")
	case corosync.QDevice:
		it.Why = "left as it is; to have it in the configuration, add [corosync.qdevice]"
		it.Key = qdeviceKey
	}
	return it
}

// change is a setting that corosync takes while it runs. With pcs the first node
// changes the token for all; two_node, which pcs cannot set, and whatever there
// is without pcs, every node changes in its own file.
func (s *Stage) change(f *facts, d corosync.Difference) setup.Item {
	it := setup.Item{Object: "corosync.conf", Action: setup.Change, Detail: d.String(), Key: "node"}
	if d.Kind == corosync.TwoNode {
		value := d.Want
		it.Why = "two nodes without a quorum device need it to keep quorum when one is lost"
		if value == "0" {
			it.Why = "it is for clusters of two nodes without a quorum device"
		}
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.edit(ctx, "quorum", "two_node", value) }
		return it
	}
	it.Key = tokenKey
	token := strconv.Itoa(corosync.TokenMS(s.c))
	switch {
	case !f.pcs:
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.edit(ctx, "totem", "token", token) }
	case s.first():
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.updateToken(ctx, token) }
	default:
		it.Action, it.Detail = setup.Other, d.String()+": "+s.c.First().Name+" changes it"
	}
	return it
}

// updateToken has pcs change the token on all nodes.
func (s *Stage) updateToken(ctx context.Context, token string) error {
	if have, err := s.setting("totem", "token"); err != nil || have == token {
		return err
	}
	if _, err := s.pcs(ctx, "setup.pcs-token", nil, "cluster", "config", "update", "totem", "token="+token); err != nil {
		return err
	}
	have, err := s.setting("totem", "token")
	if err == nil && have != token {
		err = fmt.Errorf("pcs cluster config update ended well and token is %q in %s, not %s", have, corosync.Path, token)
	}
	return err
}

// setting is the value in this node's corosync.conf.
func (s *Stage) setting(section, key string) (string, error) {
	f := &facts{}
	if err := s.readConf(f); err != nil {
		return "", err
	}
	if f.confErr != nil || f.conf == nil {
		return "", errors.Join(f.confErr, fmt.Errorf("%s: no cluster", corosync.Path))
	}
	return corosync.Value(f.text, section, key), nil
}

// edit changes one setting of this node's corosync.conf and has a running
// corosync read it.
func (s *Stage) edit(ctx context.Context, section, key, value string) error {
	have, err := s.setting(section, key)
	if err != nil {
		return err
	}
	if have != value {
		text, err := s.m.ReadFile(corosync.Path)
		if err != nil {
			return fmt.Errorf("change %s: %w", key, err)
		}
		changed := corosync.Set(string(text), section, key, value)
		if corosync.Value(changed, section, key) != value {
			return fmt.Errorf("change %s in %s: its layout is not understood; set %s: %s in section %s by hand, then run: corosync-cfgtool -R",
				key, corosync.Path, key, value, section)
		}
		if err := s.m.WriteFileAtomic("setup.corosync-edit", corosync.Path, []byte(changed), 0o644); err != nil {
			return fmt.Errorf("change %s: %w", key, err)
		}
	}
	return s.reload(ctx, section+"."+key, value)
}

// reload has a running corosync, on all nodes, read its file.
func (s *Stage) reload(ctx context.Context, key, value string) error {
	u, err := s.units(ctx)
	if err != nil || !u[corosyncUnit].active {
		return err
	}
	if s.loaded(ctx)[key] == value {
		return nil
	}
	if _, err := s.m.Run(ctx, host.Cmd{Op: "setup.corosync-reload", Name: "corosync-cfgtool", Args: []string{"-R"}}); err != nil {
		return fmt.Errorf("have corosync read its file: %w", err)
	}
	if m := s.loaded(ctx); m != nil && m[key] != value {
		return fmt.Errorf("corosync has read its file and %s is %q, not %s; see: journalctl -u corosync", key, m[key], value)
	}
	return nil
}

// unloaded is a file that is right and that corosync has not read: a run was cut
// off between the two.
func (s *Stage) unloaded(f *facts) (setup.Item, bool) {
	token := corosync.TokenMS(s.c)
	key, value, asked := "totem.token", strconv.Itoa(token), tokenKey
	switch {
	case f.loaded == nil:
		return setup.Item{}, false
	case token > 0 && f.conf.TokenMS == token && f.loaded[key] != value:
	case f.conf.TwoNode && f.conf.Device == nil && len(f.conf.Nodes) == 2 && f.loaded["quorum.two_node"] != "1":
		key, value, asked = "quorum.two_node", "1", "node"
	default:
		return setup.Item{}, false
	}
	return setup.Item{
		Object: "corosync", Action: setup.Change, Key: asked,
		Detail: fmt.Sprintf("%s is %s in the file and not yet in the running corosync; the file is read again", key, value),
		Do:     func(ctx context.Context, _ setup.Progress) error { return s.reload(ctx, key, value) },
	}, true
}

func qdeviceObject(c *config.Config) string { return "quorum device " + c.Corosync.QDevice.Host }

// qdeviceItem is the quorum device. Setup cannot make it: the login or the
// certificate of its machine is that machine's administrator's.
func (s *Stage) qdeviceItem(f *facts) setup.Item {
	q := s.c.Corosync.QDevice
	it := setup.Item{Object: qdeviceObject(s.c), Key: qdeviceKey}
	have := f.conf.Device
	there := have != nil && have.Host == q.Host && have.Algorithm == q.Algorithm
	switch {
	case there && f.units[qdeviceUnit].active:
		it.Action, it.Detail = setup.Keep, q.Algorithm+", running"
		return it
	case !s.first() && !there:
		it.Action, it.Detail = setup.Other, "added on "+s.c.First().Name
		return it
	case there:
		it.Action, it.Detail = setup.Warn, "in corosync.conf, and corosync-qdevice does not run here"
	case have != nil:
		it.Action = setup.Warn
		it.Detail = fmt.Sprintf("the cluster has %s %s, the configuration %s %s", have.Host, have.Algorithm, q.Host, q.Algorithm)
	default:
		it.Action, it.Detail = setup.Warn, "not in the cluster: setup has no login there"
	}
	it.Why = s.qdeviceCommands(f, there)
	return it
}

// qdeviceCommands are what a person runs for the quorum device.
func (s *Stage) qdeviceCommands(f *facts, there bool) string {
	q := s.c.Corosync.QDevice
	certificates := fmt.Sprintf("corosync-qdevice-net-certutil -Q -n %s %s %s (on one node), then on each: systemctl enable --now corosync-qdevice",
		s.c.Cluster, q.Host, strings.Join(s.names(), " "))
	add := fmt.Sprintf("pcs quorum device add model net host=%s algorithm=%s", q.Host, q.Algorithm)
	switch {
	case !f.pcs && there:
		return certificates
	case !f.pcs:
		return "add the device section to corosync.conf on every node, then: " + certificates
	case there:
		return "systemctl enable --now corosync-qdevice"
	case f.conf.Device != nil:
		return "pcs quorum device remove, then: " + add
	}
	return fmt.Sprintf("on %s: pcs host auth %s -u %s, then: %s", s.c.First().Name, q.Host, hacluster, add)
}
