package scenario

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// soakRounds is the usual number of rounds of soak.
const soakRounds = 50

// soak runs random rounds of crash, move and killed action under load. It stops
// at the first round that fails, so that the machines show it.
func soak(ctx context.Context, t *T) error {
	if _, err := t.Ready(ctx); err != nil {
		return err
	}
	if err := t.fixedCIB(ctx); err != nil {
		return err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	seed := uint64(time.Now().UnixNano())
	rounds := cmp.Or(t.Rounds, soakRounds)
	t.Logf("%d rounds, seed %d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	points := killPoints(true)
	worst := map[string][]time.Duration{}
	for round := 1; round <= rounds; round++ {
		kind := []string{"crash", "move", "killed-action"}[random.IntN(3)]
		t.Logf("round %d of %d: %s", round, rounds, kind)
		stalls, err := t.soakRound(ctx, kind, points[random.IntN(len(points))])
		if err != nil {
			return fmt.Errorf("round %d (%s): %w", round, kind, err)
		}
		if len(t.failed) > 0 {
			return fmt.Errorf("round %d (%s)", round, kind)
		}
		for proto, d := range stalls {
			worst[kind+" "+proto] = append(worst[kind+" "+proto], d)
		}
	}
	for _, kind := range []string{"crash v3", "crash v4.2", "move v3", "move v4.2", "killed-action v3", "killed-action v4.2"} {
		if d := worst[kind]; len(d) > 0 {
			slices.Sort(d)
			t.Logf("%-20s %2d rounds, stall median %.1f s, longest %.1f s", kind, len(d), d[len(d)/2].Seconds(), d[len(d)-1].Seconds())
		}
	}
	return nil
}

// soakRound runs one round with writers of its own and verifies their data.
func (t *T) soakRound(ctx context.Context, kind string, k killPoint) (Stalls, error) {
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return nil, err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return nil, err
	}
	var stalls Stalls
	switch kind {
	case "crash":
		stalls, err = t.crashRound(ctx, active, loads)
	case "move":
		if stalls, err = t.moveRound(ctx, active, loads); err == nil {
			_, err = t.Rig.SSH(ctx, rig.Peer(active), "crm_standby --delete --node "+active)
		}
	case "killed-action":
		t.Logf("kill point: %s", k)
		begin := time.Now()
		if err = t.killInMove(ctx, active, k); err == nil {
			if err = t.WaitWriting(ctx, loads, time.Now(), backLimit); err == nil {
				stalls, err = t.stallsSince(ctx, loads, begin)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return nil, err
	}
	if err := t.noDouble(ctx); err != nil {
		return nil, err
	}
	if err := t.StopLoads(ctx, loads); err != nil {
		return nil, err
	}
	t.runCleanups(ctx)
	return stalls, nil
}

func (t *T) stallsSince(ctx context.Context, loads []*Load, since time.Time) (Stalls, error) {
	stalls := Stalls{}
	for _, l := range loads {
		r, err := t.Report(ctx, l, since)
		if err != nil {
			return nil, err
		}
		stalls[l.Proto] = r.MaxGap
	}
	return stalls, nil
}
