package agent

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
)

const (
	// scoreTimeout bounds a write of the promotion score. The attribute daemon
	// can be busy just when a monitor must answer.
	scoreTimeout = 3 * time.Second
	// scoreMaxAge is when a score that has not changed is written again: the
	// cluster may have lost it without this node having noticed.
	scoreMaxAge = 5 * time.Minute
)

// updateScore looks at DRBD and writes the promotion score if it changed.
func (a *Agent) updateScore(ctx context.Context, g *group.Group) {
	facts, err := g.Inspect(ctx)
	if err != nil {
		a.log.Warn("promotion score stays as it is", "err", err)
		return
	}
	a.setScore(ctx, facts)
}

// setScore writes the promotion score for what was seen, when it differs from
// the last one. It never fails an action: a score that could not be written is
// written by the next monitor.
func (a *Agent) setScore(ctx context.Context, f group.Facts) {
	score, known, reason := drbd.PromotionScore(f.DRBD)
	if !known {
		return // in transition: the last one stays
	}
	if why := f.Eligible(); why != "" {
		score, reason = drbd.ScoreNone, why
	}
	want := ""
	if score > drbd.ScoreNone {
		want = strconv.Itoa(score)
	}
	if a.cachedScore() == want {
		return
	}
	if err := a.writeScore(ctx, want); err != nil {
		a.log.Warn("write promotion score", "score", score, "err", err)
		return
	}
	a.log.Info("promotion score", "score", score, "reason", reason)
}

func (a *Agent) writeScore(ctx context.Context, value string) error {
	ctx, cancel := context.WithTimeout(ctx, scoreTimeout)
	defer cancel()
	args := []string{"--promotion", "--lifetime", "reboot"}
	if node := a.env.Meta["on_node"]; node != "" {
		args = append(args, "--node", node)
	}
	if value == "" {
		args = append(args, "--delete")
	} else {
		args = append(args, "--update", value)
	}
	_, err := a.sys.Run(ctx, host.Cmd{
		Op: "score.write", Name: "crm_attribute", Args: args,
		Env: []string{"OCF_RESOURCE_INSTANCE=" + a.env.Instance},
	})
	if err != nil {
		return err
	}
	return a.sys.WriteFileAtomic("score.cache", a.scorePath(), []byte(a.scoreStamp()+" "+value+"\n"), 0o600)
}

func (a *Agent) scorePath() string { return group.RunDir + "/" + a.env.Instance + ".score" }

// scoreStamp ties the cached score to this life of the cluster on this node:
// the attribute is gone when the cluster stops, the cache is not.
func (a *Agent) scoreStamp() string {
	return a.sys.ParentIdentity() + " " + strconv.FormatInt(time.Now().Unix(), 10)
}

// cachedScore returns the score that was written last, or "unknown".
func (a *Agent) cachedScore() string {
	const unknown = "unknown"
	data, err := a.sys.ReadFile(a.scorePath())
	if err != nil {
		return unknown
	}
	parent, rest, _ := strings.Cut(strings.TrimSuffix(string(data), "\n"), " ")
	written, value, ok := strings.Cut(rest, " ")
	unix, err := strconv.ParseInt(written, 10, 64)
	if !ok || err != nil || parent != a.sys.ParentIdentity() || time.Since(time.Unix(unix, 0)).Abs() > scoreMaxAge {
		return unknown
	}
	return value
}

func (a *Agent) forgetScore() {
	if err := a.sys.Remove("score.forget", a.scorePath()); err != nil {
		a.log.Warn("forget promotion score", "err", err)
	}
}

// deleteScore takes the score away: a stopped instance is not to be promoted.
func (a *Agent) deleteScore(ctx context.Context) {
	if a.cachedScore() == "" {
		return
	}
	if err := a.writeScore(ctx, ""); err != nil {
		a.log.Warn("delete promotion score", "err", err)
	}
	a.forgetScore()
}
