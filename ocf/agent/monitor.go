package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// probeBudget bounds a probe: it runs on every node before anything may start.
const probeBudget = 5 * time.Second

// monitor says what of the group is on this node. It repairs nothing.
//
// A probe (a monitor without an interval) is asked on nodes that may have
// nothing installed; everything that is missing is the answer "not running".
func (a *Agent) monitor(ctx context.Context) error {
	probe := a.env.Probe()
	if probe {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, probeBudget)
		defer cancel()
	}
	g, cfg, err := a.open(false)
	if err != nil && probe {
		return answer(ocf.NotRunning)
	}
	if err != nil {
		return err
	}
	facts, err := g.Inspect(ctx)
	if errors.Is(err, host.ErrNotInstalled) && len(facts.Pieces()) == 0 {
		return answer(ocf.NotRunning)
	}
	if err != nil {
		return err
	}
	if probe && !facts.Recorded && len(facts.Pieces()) == 0 {
		// DRBD may be up: LINSTOR, setup or the boot has done that. The start that
		// makes this node ready to take over has not run, and Pacemaker runs it
		// only on a node that is "not running".
		return answer(ocf.NotRunning)
	}
	promoted, verdict := judge(facts, cfg)
	if probe {
		return verdict
	}
	if promoted {
		if err := a.deep(ctx, g, cfg); err != nil {
			return ocf.Errorf(ocf.FailedPromoted, "%w", err)
		}
		if err := g.SavePeersOnChange(ctx); err != nil {
			a.log.Warn("client connections are not saved", "err", err)
		}
	}
	if facts.DRBD != nil {
		a.setScore(ctx, facts)
	}
	return verdict
}

// judge turns what was seen into an answer, and says whether it is a healthy
// promoted group:
//
//	nothing of the group, DRBD down          7  not running
//	nothing of the group, DRBD Secondary     0  Unpromoted
//	everything there                         8  Promoted
//	anything between                         9  broken: demote, then stop
//
// The first two and the third become 190 and 191 where redundancy is missing
// and report_degraded is on.
func judge(f group.Facts, cfg Config) (promoted bool, verdict error) {
	pieces := f.Pieces()
	if len(pieces) == 0 {
		if f.DRBD == nil {
			return false, answer(ocf.NotRunning)
		}
		return false, degraded(ocf.Success, ocf.Degraded, f, cfg)
	}
	if broken := f.Broken(); len(broken) > 0 {
		return false, answer(ocf.FailedPromoted, append(broken, "there is: "+strings.Join(pieces, ", "))...)
	}
	return true, degraded(ocf.RunningPromoted, ocf.DegradedPromoted, f, cfg)
}

func degraded(healthy, code ocf.Code, f group.Facts, cfg Config) error {
	if !cfg.ReportDegraded {
		return answer(healthy)
	}
	why := drbd.Health(f.DRBD)
	if reason := f.Eligible(); reason != "" {
		why = append([]string{reason}, why...)
	}
	if len(why) == 0 {
		return answer(healthy)
	}
	return answer(code, why...)
}

// Depths of monitor beyond kernel facts.
const (
	depthAnswer = 10 // the server answers at each service address
	depthWrite  = 20 // the volume takes a write
)

// answerTimeout bounds one question to the server.
const answerTimeout = 3 * time.Second

// deep does what OCF_CHECK_LEVEL asks for.
func (a *Agent) deep(ctx context.Context, g *group.Group, cfg Config) error {
	if a.env.CheckLevel >= depthAnswer {
		for _, addr := range vip.Addrs(cfg.Group.VIPs) {
			if err := a.answers(ctx, g, addr); err != nil {
				return err
			}
		}
	}
	if a.env.CheckLevel >= depthWrite {
		if err := g.TestWrite(ctx); err != nil {
			return fmt.Errorf("volume takes no write: %w", err)
		}
	}
	return nil
}

func (a *Agent) answers(ctx context.Context, g *group.Group, addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := g.Answers(ctx, addr); err != nil {
		return fmt.Errorf("NFS does not answer at %s: %w", addr, err)
	}
	return nil
}
