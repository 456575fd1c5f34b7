package linstor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// lookTime bounds a look at LINSTOR; listing storage pools asks every satellite.
const lookTime = 8 * time.Second

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
}

var _ machine = (*host.Host)(nil)

// Options configure a [Stage]. Machine and Config are required.
type Options struct {
	// Machine is asked about the controller's unit when the controller does not
	// answer, and for nothing else.
	Machine machine
	Config  *config.Config
	// Self is this node's name.
	Self string
	// Log takes what was changed; nil discards.
	Log *slog.Logger
	// Controllers are LINSTOR's addresses, each tried in turn; empty means what
	// LS_CONTROLLERS says, or http://localhost:3370.
	Controllers []string
	// HTTPClient is nil for one as the LS_ variables describe it.
	HTTPClient *http.Client
}

// Stage is the stage "linstor" of setup. It holds no state.
type Stage struct {
	m           machine
	c           *config.Config
	self        string
	log         *slog.Logger
	controllers []string
	http        *http.Client
}

var _ setup.Stage = (*Stage)(nil)

// New returns the stage. It does not speak to LINSTOR yet.
func New(o Options) *Stage {
	s := &Stage{m: o.Machine, c: o.Config, self: o.Self, log: o.Log, controllers: o.Controllers, http: o.HTTPClient}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Name returns [setup.LINSTOR].
func (s *Stage) Name() string { return setup.LINSTOR }

// Look compares LINSTOR's objects with the configuration. On other nodes than
// the controller's it looks at nothing. A controller that has not been started
// yet is an item; one that runs and does not answer is an error.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	if s.self != s.c.Storage.Controller {
		return []setup.Item{s.other()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	a, err := s.connect(ctx)
	if errors.Is(err, errNoAnswer) {
		return s.absent(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	w, err := s.see(ctx, a)
	if err != nil {
		return nil, err
	}
	return s.compare(a, w), nil
}

// other is what a node sees that does not run the controller.
func (s *Stage) other() setup.Item {
	return setup.Item{
		Object: "LINSTOR", Action: setup.Other, Key: "storage.controller",
		Detail: s.c.Storage.Controller + " does it (LINSTOR's controller)",
	}
}

// compare returns the items in the order in which LINSTOR takes them.
func (s *Stage) compare(a *api, w *world) []setup.Item {
	items := s.nodeItems(a, w)
	items = append(items, s.satellites(a, w)...)
	items = append(items, s.poolItems(a, w)...)
	items = append(items, s.definitionItems(a, w)...)
	items = append(items, s.resourceItems(a, w)...)
	return append(items, s.foreignItems(w)...)
}

// LookRemove keeps everything: it all holds data or is shared with other
// resources. It says which commands would delete it.
func (s *Stage) LookRemove(ctx context.Context) ([]setup.Item, error) {
	if s.self != s.c.Storage.Controller {
		return []setup.Item{s.other()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	a, err := s.connect(ctx)
	if errors.Is(err, errNoAnswer) {
		return []setup.Item{{
			Object: "LINSTOR", Action: setup.Warn, Detail: "what it manages cannot be seen and stays: " + err.Error(),
			Why: "systemctl start linstor-controller, then look again",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := s.see(ctx, a)
	if err != nil {
		return nil, err
	}
	return s.keepAll(w), nil
}

// keepAll are the objects that are there, with the commands that delete them.
func (s *Stage) keepAll(w *world) []setup.Item {
	var items []setup.Item
	keep := func(object, detail, command string) {
		items = append(items, setup.Item{Object: object, Action: setup.Keep, Detail: detail, Why: "to delete it: " + command})
	}
	res := s.c.Resource.Name
	if w.rd != nil {
		keep("resource definition "+res, "it holds the data on all nodes", quoted("linstor", "resource-definition", "delete", res))
	}
	if w.group != nil {
		keep("resource group "+groupName, "no data", quoted("linstor", "resource-group", "delete", groupName))
	}
	for _, n := range s.c.Nodes {
		if _, ok := w.pool(n.Name); ok {
			keep(poolObject(s.c, n), "other resources may use it",
				quoted("linstor", "storage-pool", "delete", n.Name, s.c.Storage.Pool))
		}
	}
	for _, n := range s.c.Nodes {
		if _, ok := w.node(n.Name); ok {
			keep(nodeObject(n), "other resources may use it", quoted("linstor", "node", "delete", n.Name))
		}
	}
	return items
}

// create is an item that makes object.
func (s *Stage) create(object, detail, key string, do func(ctx context.Context) error) setup.Item {
	return s.act(setup.Make, object, detail, key, do)
}

// act is an item that does something at once and then says so in the log.
func (s *Stage) act(action setup.Action, object, detail, key string, do func(ctx context.Context) error) setup.Item {
	return setup.Item{
		Object: object, Action: action, Detail: detail, Key: key,
		Do: func(ctx context.Context, _ setup.Progress) error {
			if err := do(ctx); err != nil {
				return err
			}
			s.log.InfoContext(ctx, "linstor object as configured", "object", object, "action", string(action))
			return nil
		},
	}
}

// keep is an item for what is as the configuration has it.
func keep(object, detail, key string) setup.Item {
	return setup.Item{Object: object, Action: setup.Keep, Detail: detail, Key: key}
}

// refuse is an item that a person has to decide about.
func refuse(object, key, why, problem string, args ...any) setup.Item {
	return setup.Item{Object: object, Action: setup.Refuse, Key: key, Why: why, Detail: fmt.Sprintf(problem, args...)}
}

// warn is an item that a person should know.
func warn(object, key, why, fact string, args ...any) setup.Item {
	return setup.Item{Object: object, Action: setup.Warn, Key: key, Why: why, Detail: fmt.Sprintf(fact, args...)}
}
