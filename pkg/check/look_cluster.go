package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
)

// declared asks what the nodes say of themselves, and what is so on this one.
func (l *looker) declared(ctx context.Context) (func(*Facts), error) {
	values, err := l.pcmk.Query(ctx, declare.Attribute)
	if values == nil && err != nil {
		return nil, err
	}
	d := &Declared{Own: declare.Node{Version: l.Version, Config: declare.Digest(l.Config)}, Nodes: map[string]declare.Node{}}
	_, missing := l.Machine.Stat(config.DefaultSecretFile)
	d.Own.Secret = missing == nil
	for node, data := range values {
		n, bad := declare.Unmarshal(data)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", node, bad))
			continue
		}
		d.Nodes[node] = n
	}
	if err != nil {
		return nil, err
	}
	return func(f *Facts) { f.Declared = d }, nil
}

func (l *looker) cluster(ctx context.Context) (func(*Facts), error) {
	st, err := pacemaker.Mon(ctx, l.Machine, "check.crm_mon")
	return func(f *Facts) { f.Cluster = &st }, err
}

func (l *looker) cib(ctx context.Context) (func(*Facts), error) {
	out, err := l.run(ctx, "cib", "cibadmin", "--query")
	if err != nil {
		return nil, err
	}
	doc, err := cib.Parse([]byte(out))
	if err != nil {
		return nil, err
	}
	c := parseCIB(doc)
	return func(f *Facts) { f.CIB = c }, nil
}

func (l *looker) history(ctx context.Context) (func(*Facts), error) {
	out, err := l.run(ctx, "fencing", "stonith_admin", "--history", "*", "--output-as=xml")
	if err != nil {
		return nil, err
	}
	events, err := parseHistory(out)
	return func(f *Facts) { f.History = &History{events} }, err
}

// links asks corosync for the state of its links. It ends with 1 where one is
// down, and prints the same.
func (l *looker) links(ctx context.Context) (func(*Facts), error) {
	out, err := l.run(ctx, "links", "corosync-cfgtool", "-s")
	if err != nil && len(out) == 0 {
		return nil, err
	}
	names := map[string]string{}
	if data, err := l.Machine.ReadFile(corosync.Path); err == nil {
		if conf, err := corosync.Parse(string(data)); err == nil {
			for _, n := range conf.Nodes {
				names[n.ID] = n.Name
			}
		}
	}
	down, err := parseLinks(out, names)
	return func(f *Facts) { f.Links = &Links{down} }, err
}

func (l *looker) votes(context.Context) (func(*Facts), error) {
	data, err := l.Machine.ReadFile(corosync.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the stage cluster of setup tells
	}
	v := &Votes{corosync.Value(string(data), "quorum", "wait_for_all")}
	return func(f *Facts) { f.Votes = v }, err
}

// drbd looks at the versions, and whether the kernel calls handlers.
func (l *looker) drbd(ctx context.Context) (func(*Facts), error) {
	kernel, err := l.adm.Version(ctx)
	if errors.Is(err, admin.ErrModuleNotLoaded) {
		return nil, nil // the stage host of setup tells
	}
	if err != nil {
		return nil, err
	}
	utils, err := stream.Utils(ctx, l.Machine)
	if err != nil {
		return nil, fmt.Errorf("version of DRBD's utilities: %w", err)
	}
	d := &DRBDFacts{
		Kernel: kernel.String(), Utils: utils.String(), Helper: l.adm.UsermodeHelper(),
		Problem: misfit(kernel, utils),
	}
	return func(f *Facts) { f.DRBD = d }, nil
}

// up reports whether the resource is up here.
func (l *looker) up(ctx context.Context) (bool, error) {
	_, err := l.adm.Status(ctx, l.Config.Resource.Name)
	if errors.Is(err, admin.ErrModuleNotLoaded) || errors.Is(err, admin.ErrUnknownResource) {
		return false, nil // setup's stages tell
	}
	return err == nil, err
}

// options asks the kernel which options are in force.
func (l *looker) options(ctx context.Context) (func(*Facts), error) {
	up, err := l.up(ctx)
	if err != nil || !up {
		return nil, err
	}
	out, err := l.run(ctx, "options", "drbdsetup", "show", "--show-defaults", l.Config.Resource.Name)
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(out)
	return func(f *Facts) { f.Options = o }, err
}

// handler asks drbdadm what it runs after a split brain: the kernel calls
// drbdadm, which reads that from the configuration.
func (l *looker) handler(ctx context.Context) (func(*Facts), error) {
	up, err := l.up(ctx)
	if err != nil || !up {
		return nil, err
	}
	out, err := l.run(ctx, "handlers", "drbdadm", "dump", l.Config.Resource.Name)
	if err != nil {
		return nil, err
	}
	h := parseHandler(out, "split-brain")
	return func(f *Facts) { f.Handler = &h }, nil
}
