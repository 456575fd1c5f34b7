package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/docs/blocks"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

const (
	// docCommandLimit bounds one command: setup from blank disks takes minutes in
	// an emulated machine.
	docCommandLimit = 20 * time.Minute
	// docUntilLimit bounds the wait for an output.
	docUntilLimit = 4 * time.Minute
)

// document is a document with its blocks.
type document struct {
	name   string // "docs/setup.md"
	blocks []blocks.Block
}

// runs reports whether anything of the document is run.
func (d document) runs() bool { return slices.ContainsFunc(d.blocks, blocks.Block.Runs) }

// firstDocs begin with blank machines and leave a group behind, lastDoc ends with
// one that setup has not made.
var firstDocs, lastDoc = []string{"README.md", "docs/quickstart.md"}, "docs/migration.md"

// documents reads the documents below the top of the repository, in the order in
// which they are run.
func documents(top string) ([]document, error) {
	others, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	names := slices.Clone(firstDocs)
	for _, file := range others {
		if name := "docs/" + filepath.Base(file); !slices.Contains(names, name) && name != lastDoc {
			names = append(names, name)
		}
	}
	var list []document
	for _, name := range append(names, lastDoc) {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			return nil, err
		}
		found, err := blocks.Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, document{name, found})
	}
	return list, nil
}

// docRun is a run of one document.
type docRun struct {
	*T
	document
	commands int
	loads    []*Load // clients that write, where the document's state has some
	since    time.Time
}

// docs is the scenario docs: every command of the documents is typed, and prints
// what the document shows. LAB_DOCS names one document alone.
func docs(ctx context.Context, t *T) error {
	if os.Getenv("LAB_AGENT") != "" {
		return fmt.Errorf("%w: LAB_AGENT copies an agent, the documents want the package", ErrSkip)
	}
	list, err := documents(t.Rig.Checkout)
	if err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) {
		_ = t.Cluster.Both(ctx, "rm -f "+setupMark+" "+configuredMark+"; sync")
	})
	only, commands := os.Getenv("LAB_DOCS"), 0
	for _, d := range list {
		if only != "" && d.name != only {
			continue
		}
		r := &docRun{T: t, document: d}
		if err := r.run(ctx); err != nil {
			t.Check(false, "%s: %v", d.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		commands += r.commands
		for _, b := range d.blocks {
			if b.NotRun != "" {
				t.Logf("%s:%d is not run: %s", d.name, b.Line, b.NotRun)
			}
		}
	}
	t.Check(commands > 0, "no command was run")
	t.Logf("%d commands were run", commands)
	return nil
}

// run runs one document, to its first failure.
func (r *docRun) run(ctx context.Context) error {
	if !r.runs() {
		return nil
	}
	r.Logf("%s", r.name)
	first := slices.IndexFunc(r.blocks, blocks.Block.Runs)
	if r.blocks[first].Given == "" {
		r.blocks[first].Given = "group"
	}
	for _, b := range r.blocks {
		if !b.Runs() {
			continue
		}
		if b.Given != "" {
			if err := r.give(ctx, b.Given); err != nil {
				return fmt.Errorf("line %d: given %s: %w", b.Line, b.Given, err)
			}
		}
		if err := r.block(ctx, b); err != nil {
			return err
		}
	}
	if r.blocks[first].Given == "blank" {
		if err := r.Cluster.Both(ctx, "touch "+setupMark+" "+configuredMark+"; sync"); err != nil {
			return err
		}
	}
	return r.stopClients(ctx)
}

// block runs the commands of one block, one after the other or all at once. The
// first that ends badly ends the wait for the others.
func (r *docRun) block(ctx context.Context, b blocks.Block) error {
	list, err := b.Commands()
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	if !b.Together {
		g.SetLimit(1)
	}
	for _, c := range list {
		g.Go(func() error {
			if gctx.Err() != nil {
				return nil // the error of the one before is told
			}
			return r.command(gctx, b, c)
		})
	}
	r.commands += len(list)
	return g.Wait()
}

// command types one command, until it prints what is shown where that is asked
// for.
func (r *docRun) command(ctx context.Context, b blocks.Block, c blocks.Command) error {
	try := func(ctx context.Context) error {
		out, code, err := r.typed(ctx, c)
		if err != nil {
			return err
		}
		if code != b.Exit {
			return fmt.Errorf("it ended with %d, want %d:\n%s", code, b.Exit, out)
		}
		if len(c.Want) == 0 {
			return nil
		}
		return blocks.Match(c.Want, out)
	}
	begin := time.Now()
	err := error(nil)
	if b.Until {
		err = rig.Poll(ctx, "the output that the document shows", docUntilLimit, time.Second, try)
	} else {
		err = try(ctx)
	}
	if err != nil {
		return fmt.Errorf("line %d: on %s: %s: %w", c.Line, c.Node, c.Text, err)
	}
	r.Logf("%s:%d ok (%.1f s) %s: %s", r.name, c.Line, time.Since(begin).Seconds(), c.Node, strings.SplitN(c.Text, "\n", 2)[0])
	return nil
}

// typed runs a command in root's home, with nobody to ask. An error is one of the
// lab alone.
func (r *docRun) typed(ctx context.Context, c blocks.Command) (out string, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, docCommandLimit)
	defer cancel()
	out, err = r.Rig.SSH(ctx, c.Node, "cd /root\nexec 2>&1\n{ "+c.Text+"\n} </dev/null\n")
	if code = rig.ExitCode(err); err != nil && (code < 0 || code == 255) {
		return out, code, err
	}
	return out, code, nil
}

// states are what a document can have before a block.
var states = map[string]func(*docRun, context.Context) error{
	"blank":          (*docRun).giveBlank,
	"group":          (*docRun).giveGroup,
	"hand-made":      (*docRun).giveHandMade,
	"split brain":    (*docRun).giveSplitBrain,
	"drbdtest1 dead": (*docRun).giveDead,
	"drbdtest1 back": (*docRun).giveBack,
}

func (r *docRun) give(ctx context.Context, state string) error {
	f, ok := states[state]
	if !ok {
		return fmt.Errorf("no such state, there are: %s", strings.Join(slices.Sorted(maps.Keys(states)), ", "))
	}
	return f(r, ctx)
}

// trust lets root of the first node log in on the second, as scp in the documents
// does.
const trust = `set -e
[ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
printf 'Host drbdtest*\n\tStrictHostKeyChecking no\n\tLogLevel ERROR\n' >/root/.ssh/config
cat /root/.ssh/id_ed25519.pub
`

func (r *docRun) allowCopies(ctx context.Context) error {
	key, err := r.Rig.SSH(ctx, rig.Node1, trust)
	if err != nil {
		return err
	}
	_, err = r.Rig.SSH(ctx, rig.Node2, "grep -qF '"+strings.TrimSpace(key)+"' /root/.ssh/authorized_keys || echo '"+strings.TrimSpace(key)+"' >>/root/.ssh/authorized_keys")
	return err
}

// giveBlank: machines with empty disks and the package, nothing configured.
func (r *docRun) giveBlank(ctx context.Context) error {
	if err := r.setupNodes(ctx); err != nil {
		return err
	}
	if err := r.Cluster.Both(ctx, "rm -rf /etc/drbdnfs/*"); err != nil {
		return err
	}
	if _, err := r.Rig.SSH(ctx, rig.Client, "systemctl start rpcbind rpc-statd"); err != nil {
		return err
	}
	return r.allowCopies(ctx)
}

// giveGroup: a group that setup has made, healthy, active on drbdtest1, mounted.
func (r *docRun) giveGroup(ctx context.Context) error {
	active, err := r.readySetup(ctx)
	if err != nil {
		return err
	}
	if err := r.allowCopies(ctx); err != nil {
		return err
	}
	return r.bringTo(ctx, active)
}

// bringTo has the service on drbdtest1.
func (r *docRun) bringTo(ctx context.Context, active string) error {
	if active == rig.Node1 {
		return nil
	}
	r.Logf("to %s", rig.Node1)
	if _, err := r.Rig.SSH(ctx, rig.Node1, "crm_standby --node "+active+" --update on"); err != nil {
		return err
	}
	err := rig.Poll(ctx, "the service on "+rig.Node1, readyLimit, time.Second, func(ctx context.Context) error {
		now, err := r.Cluster.Active(ctx)
		if err == nil && now != rig.Node1 {
			err = fmt.Errorf("%w: it is on %q", errNot, now)
		}
		return err
	})
	_, off := r.Rig.SSH(ctx, rig.Node1, "crm_standby --delete --node "+active)
	if err := errors.Join(err, off); err != nil {
		return err
	}
	_, err = r.Cluster.WaitReady(ctx, readyLimit)
	return err
}

// giveHandMade: the hand-made configuration, active on drbdtest1 with clients
// that write, and the package beside it.
func (r *docRun) giveHandMade(ctx context.Context) error {
	ours, with := r.Cluster.Resource, r.Cluster.With
	r.Cleanup(func(context.Context) { r.Cluster.Resource, r.Cluster.With = ours, with })
	active, err := r.handmade(ctx)
	if err != nil {
		return err
	}
	if err := r.bringTo(ctx, active); err != nil {
		return err
	}
	if err := r.allowCopies(ctx); err != nil {
		return err
	}
	r.Cluster.Resource, r.Cluster.With = ours, with // what it will be
	r.since = time.Now()
	r.loads, err = r.StartLoads(ctx)
	return err
}

// stopClients ends the clients that write and looks at what they wrote.
func (r *docRun) stopClients(ctx context.Context) error {
	if len(r.loads) == 0 {
		return nil
	}
	if err := r.WaitWriting(ctx, r.loads, time.Now(), 2*time.Minute); err != nil {
		return err
	}
	stalls, err := r.stallsSince(ctx, r.loads, r.since)
	if err != nil {
		return err
	}
	r.Logf("%s: the clients' longest gap: %s", r.name, stalls)
	return r.StopLoads(ctx, r.loads)
}

// giveSplitBrain: both nodes have written, drbdtest1 serves, a person decides.
func (r *docRun) giveSplitBrain(ctx context.Context) error {
	if err := r.giveGroup(ctx); err != nil {
		return err
	}
	active, passive, err := r.splitReady(ctx)
	if err != nil {
		return err
	}
	if err := r.diverge(ctx, active, passive, "docs"); err != nil {
		return err
	}
	if _, err := r.mend(ctx, passive); err != nil {
		return err
	}
	return r.Cluster.EachNode(ctx, func(ctx context.Context, node string) error { return r.phase(ctx, node, "held", time.Minute) })
}

// giveDead: drbdtest1, which served, was killed, and the other node has taken over.
func (r *docRun) giveDead(ctx context.Context) error {
	if err := r.Rig.Kill(rig.Node1); err != nil {
		return err
	}
	return r.waitPromoted(ctx, rig.Node2)
}

// giveBack: the machine that was killed runs again, and nothing more.
func (r *docRun) giveBack(ctx context.Context) error {
	if err := r.Rig.Start(ctx, rig.Node1); err != nil {
		return err
	}
	if err := r.Rig.WaitSSH(ctx, rig.Node1); err != nil {
		return err
	}
	_, err := r.Cluster.WaitReady(ctx, readyLimit)
	return err
}
