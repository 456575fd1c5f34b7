package splitbrain_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func policy(kind splitbrain.PolicyKind) splitbrain.Policy {
	return splitbrain.Policy{Kind: kind, Keep: "alpha", Snapshot: splitbrain.SnapshotRequired, CoolDown: time.Hour, Resolutions: 2}
}

// pair is the evidence of alpha, Primary and serving, and beta, promoted later
// and Secondary again with fewer changes: by each policy beta is the victim.
func pair(p splitbrain.Policy) (alpha, beta splitbrain.Evidence) {
	alpha = splitbrain.Evidence{
		Standing: splitbrain.Standing{
			Node: "alpha", Resource: "r0", Peer: "beta", Role: drbd.RolePrimary, Connection: drbd.ConnStandAlone,
			Promoted: drbd.Yes, Mounted: drbd.Yes, PrimarySince: noon, LastPromoted: noon, Policy: p, Phase: splitbrain.PhaseFound,
		},
		Volumes: []splitbrain.Volume{{Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: 0xA1, Bitmap: 0xE0}, ChangedBytes: 8192}},
		Words:   []splitbrain.Saying{{Kind: splitbrain.WordHelper, At: noon.Add(time.Hour)}},
	}
	beta = splitbrain.Evidence{
		Standing: splitbrain.Standing{
			Node: "beta", Resource: "r0", Peer: "alpha", Role: drbd.RoleSecondary, Connection: drbd.ConnConnecting,
			Promoted: drbd.No, Mounted: drbd.No, LastPromoted: noon.Add(time.Minute), Policy: p, Phase: splitbrain.PhaseFound,
		},
		Volumes: []splitbrain.Volume{{Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: 0xB0, Bitmap: 0xE0}, ChangedBytes: 4096}},
	}
	return alpha, beta
}

func addVolume(e *splitbrain.Evidence, current, bitmap gi.UUID) {
	e.Volumes = append(e.Volumes, splitbrain.Volume{
		Volume: len(e.Volumes), Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: current, Bitmap: bitmap},
	})
}

// The policies of the cases below.
var (
	secondary = policy(splitbrain.DiscardSecondary)
	least     = policy(splitbrain.DiscardLeastChanges)
	younger   = policy(splitbrain.DiscardYoungerPrimary)
	keep      = policy(splitbrain.KeepNode)
	manual    = policy(splitbrain.Manual)
)

// but is p with something changed.
func but(p splitbrain.Policy, change func(*splitbrain.Policy)) splitbrain.Policy {
	change(&p)
	return p
}

// decisions are verdicts first, then at least one case of each refusal.
var decisions = []struct {
	name   string
	policy splitbrain.Policy
	change func(a, b *splitbrain.Evidence)
	victim string
	want   splitbrain.Refusal
}{
	{"discard-secondary", secondary, nil, "beta", ""},
	{"discard-least-changes", least, nil, "beta", ""},
	{"discard-younger-primary", younger, nil, "beta", ""},
	{"keep-node", keep, nil, "beta", ""},
	{"least changes, the other way", least, func(a, _ *splitbrain.Evidence) {
		a.ChangedTo(1024)
		a.Role, a.Promoted, a.Mounted = drbd.RoleSecondary, drbd.No, drbd.No
	}, "alpha", ""},
	{"the word is the peer's", secondary, func(a, b *splitbrain.Evidence) { a.Words, b.Words = nil, a.Words }, "beta", ""},
	{"a volume that did not diverge", secondary, func(a, b *splitbrain.Evidence) { addVolume(a, 0xC0, 0); addVolume(b, 0xC0, 0) }, "beta", ""},
	{"a volume with newer data on the survivor", secondary, func(a, b *splitbrain.Evidence) { addVolume(a, 0xC0, 0xD0); addVolume(b, 0xD0, 0) }, "beta", ""},
	{"an Outdated victim", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Disk = drbd.DiskOutdated }, "beta", ""},

	{"manual", manual, nil, "", splitbrain.RefusalManual},
	{"one file broken", secondary, func(_, b *splitbrain.Evidence) { b.PolicyBroken = true }, "", splitbrain.RefusalPolicyBroken},
	{"a policy of the future", policy("discard-all"), nil, "", splitbrain.RefusalPolicy},
	{"no snapshot mode", but(secondary, func(p *splitbrain.Policy) { p.Snapshot = "" }), nil, "", splitbrain.RefusalPolicy},
	{"to keep a third node", but(keep, func(p *splitbrain.Policy) { p.Keep = "gamma" }), nil, "", splitbrain.RefusalPolicy},
	{"other policies", secondary, func(_, b *splitbrain.Evidence) { b.Policy = least }, "", splitbrain.RefusalPolicyDiffer},
	{"other cool-downs", secondary, func(_, b *splitbrain.Evidence) { b.Policy.CoolDown++ }, "", splitbrain.RefusalPolicyDiffer},
	{"other resources", secondary, func(_, b *splitbrain.Evidence) { b.Resource = "r1" }, "", splitbrain.RefusalMismatch},
	{"other peers", secondary, func(_, b *splitbrain.Evidence) { b.Peer = "gamma" }, "", splitbrain.RefusalMismatch},
	{"no word of DRBD", secondary, func(a, _ *splitbrain.Evidence) { a.Words = nil }, "", splitbrain.RefusalNoWord},
	{"connected", secondary, func(_, b *splitbrain.Evidence) { b.Live = true }, "", splitbrain.RefusalNotProven},
	{"no identifiers", secondary, func(_, b *splitbrain.Evidence) { b.Volumes = nil }, "", splitbrain.RefusalNotProven},
	{"one generation", secondary, func(a, b *splitbrain.Evidence) {
		b.Volumes[0].Identifiers.Current = a.Volumes[0].Identifiers.Current &^ 1
	}, "", splitbrain.RefusalNotProven},
	{"an older generation", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Identifiers = gi.Identifiers{Current: 0xE0} }, "", splitbrain.RefusalNotProven},
	{"new meta-data", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Identifiers.Current = 4 }, "", splitbrain.RefusalNotProven},
	{"unrelated", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Identifiers.Bitmap = 0xF0 }, "", splitbrain.RefusalUnrelated},
	{"only old history in common", secondary, func(_, b *splitbrain.Evidence) {
		b.Volumes[0].Identifiers.Bitmap, b.Volumes[0].Identifiers.History[1] = 0xF0, 0xE0
	}, "", splitbrain.RefusalFullSync},
	{"a volume too many", secondary, func(a, _ *splitbrain.Evidence) { addVolume(a, 0xC0, 0) }, "", splitbrain.RefusalVolumes},
	{"other numbers of volumes", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Volume = 1 }, "", splitbrain.RefusalVolumes},
	{"a volume with newer data on the victim", secondary, func(a, b *splitbrain.Evidence) { addVolume(a, 0xD0, 0); addVolume(b, 0xC0, 0xD0) }, "", splitbrain.RefusalMixed},
	{"a third node with data", secondary, func(_, b *splitbrain.Evidence) { b.OtherNodes = 1 }, "", splitbrain.RefusalMoreNodes},
	{"survivor Outdated", secondary, func(a, _ *splitbrain.Evidence) { a.Volumes[0].Disk = drbd.DiskOutdated }, "", splitbrain.RefusalDisk},
	{"victim Diskless", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Disk = drbd.DiskDiskless }, "", splitbrain.RefusalDisk},
	{"victim's disk not known", secondary, func(_, b *splitbrain.Evidence) { b.Volumes[0].Disk = "" }, "", splitbrain.RefusalDisk},
	{"victim promoted", secondary, func(_, b *splitbrain.Evidence) { b.Promoted = drbd.Yes }, "", splitbrain.RefusalVictimInUse},
	{"victim mounted", secondary, func(_, b *splitbrain.Evidence) { b.Mounted = drbd.Yes }, "", splitbrain.RefusalVictimInUse},
	{"victim perhaps promoted", secondary, func(_, b *splitbrain.Evidence) { b.Promoted = drbd.Unknown }, "", splitbrain.RefusalVictimInUse},
	{"victim perhaps mounted", secondary, func(_, b *splitbrain.Evidence) { b.Mounted = drbd.Unknown }, "", splitbrain.RefusalVictimInUse},
	{"victim Primary", least, func(_, b *splitbrain.Evidence) { b.Role = drbd.RolePrimary }, "", splitbrain.RefusalVictimInUse},
	{"victim's role not known", secondary, func(_, b *splitbrain.Evidence) { b.Role = drbd.RoleUnknown }, "", splitbrain.RefusalVictimInUse},
	{"the node to keep is the other", but(keep, func(p *splitbrain.Policy) { p.Keep = "beta" }), nil, "", splitbrain.RefusalVictimInUse},
	{"both Primary", secondary, func(_, b *splitbrain.Evidence) { b.Role = drbd.RolePrimary }, "", splitbrain.RefusalBothPrimary},
	{"neither Primary", secondary, func(a, _ *splitbrain.Evidence) { a.Role = drbd.RoleSecondary }, "", splitbrain.RefusalNoPrimary},
	{"equal changes", least, func(a, _ *splitbrain.Evidence) { a.ChangedTo(4096) }, "", splitbrain.RefusalEqual},
	{"changes not known", least, func(a, _ *splitbrain.Evidence) { a.ChangedTo(-1) }, "", splitbrain.RefusalNoChanges},
	{"changes that overflow", least, func(a, b *splitbrain.Evidence) {
		addVolume(a, 0xC0, 0)
		addVolume(b, 0xC0, 0)
		a.Volumes[1].ChangedBytes = 1<<63 - 1
	}, "", splitbrain.RefusalNoChanges},
	{"promoted at the same time", younger, func(_, b *splitbrain.Evidence) { b.LastPromoted = noon.Add(9 * time.Second) }, "", splitbrain.RefusalEqual},
	{"one node has an order", secondary, func(a, b *splitbrain.Evidence) { order(a, b, "alpha"); b.Order = splitbrain.Order{} }, "", splitbrain.RefusalOrderAlone},
	{"two orders", secondary, func(a, b *splitbrain.Evidence) { order(a, b, "beta"); b.Order.Victim = "alpha" }, "", splitbrain.RefusalOrdersDiffer},
	{"two orders with other snapshots", secondary, func(a, b *splitbrain.Evidence) {
		order(a, b, "beta")
		b.Order.Snapshot = splitbrain.SnapshotOff
	}, "", splitbrain.RefusalOrdersDiffer},
	{"two orders that agree", manual, func(a, b *splitbrain.Evidence) {
		order(a, b, "beta")
		b.Order.From, b.Order.At = "beta", noon
	}, "beta", ""},
	{"an order of another split brain", manual, func(a, b *splitbrain.Evidence) {
		order(a, b, "beta")
		b.Volumes[0].Identifiers.Current = 0xBB0
	}, "", splitbrain.RefusalManual},
	{"an order about a third node", manual, func(a, b *splitbrain.Evidence) { order(a, b, "gamma") }, "", splitbrain.RefusalManual},
	{"one never promoted", younger, func(_, b *splitbrain.Evidence) { b.LastPromoted = time.Time{} }, "", splitbrain.RefusalNoTimes},
}

// order gives both nodes an order.
func order(a, b *splitbrain.Evidence, victim string) {
	a.Order = splitbrain.Order{Incident: splitbrain.Incident(*a, *b), Victim: victim, Snapshot: splitbrain.SnapshotRequired, From: "alpha", At: noon}
	b.Order = a.Order
}

// Ensure that an order to discard the data of beta overrides what the policy
// refuses, and nothing that is about the data.
func TestDecideByOrder(t *testing.T) {
	for _, tt := range decisions {
		a, b := pair(tt.policy)
		if tt.change != nil {
			tt.change(&a, &b)
		}
		if a.Order.Incident != "" || tt.policy.Keep == "beta" { // an order already, or one for the other node
			continue
		}
		order(&a, &b, "beta")
		got, refusal := splitbrain.Decide(tt.policy, a, b)
		want := tt.want.Override()
		if tt.want == "" {
			want = "goes on"
		}
		switch want {
		case "goes on":
			if refusal != "" || got.Victim != "beta" {
				t.Errorf("%s: %q, victim %q", tt.name, refusal, got.Victim)
			}
		case "stays":
			if refusal != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, refusal, tt.want)
			}
		default:
			if string(refusal) != want {
				t.Errorf("%s: %q, want %q", tt.name, refusal, want)
			}
		}
	}
}

func TestDecide(t *testing.T) {
	seen := map[splitbrain.Refusal]bool{}
	for _, tt := range decisions {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(tt.policy)
			if tt.change != nil {
				tt.change(&a, &b)
			}
			got, refusal := splitbrain.Decide(tt.policy, a, b)
			seen[refusal] = true
			if got.Victim != tt.victim || refusal != tt.want {
				t.Errorf("got victim %q, refusal %q; want %q, %q", got.Victim, refusal, tt.victim, tt.want)
			}
			if (refusal == "") != (got.Reason != "") {
				t.Errorf("refusal %q with reason %q", refusal, got.Reason)
			}
			if mirror, r := splitbrain.Decide(tt.policy, b, a); mirror != got || r != refusal {
				t.Errorf("the other way: %+v %q, want %+v %q", mirror, r, got, refusal)
			}
		})
	}
	for _, r := range splitbrain.DecideRefusals {
		if !seen[r] {
			t.Errorf("no case is refused with %q", r)
		}
	}
}

// Ensure that for any two pieces of evidence both nodes decide the same, name
// the same incident, and never one that is in use or not proven to diverge.
func TestDecideIsSymmetric(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []splitbrain.PolicyKind{splitbrain.DiscardSecondary, splitbrain.DiscardLeastChanges, splitbrain.DiscardYoungerPrimary, splitbrain.KeepNode}
	verdicts := map[string]int{}
	for range 50_000 {
		p := policy(kinds[r.IntN(len(kinds))])
		a, b := pair(p)
		for _, e := range []*splitbrain.Evidence{&a, &b} {
			e.Role = []drbd.Role{drbd.RolePrimary, drbd.RoleSecondary, drbd.RoleSecondary}[r.IntN(3)]
			e.Promoted, e.Mounted = drbd.Tri(max(1, r.IntN(3))), drbd.Tri(max(1, r.IntN(3)))
			e.LastPromoted = noon.Add(time.Duration(r.IntN(60)) * time.Second)
			e.ChangedTo(int64(r.IntN(4)))
			e.Volumes[0].Identifiers = gi.Identifiers{Current: gi.UUID(0xA0 + r.IntN(4)), Bitmap: gi.UUID(0xB0 + r.IntN(2)*2)}
		}
		got, refusal := splitbrain.Decide(p, a, b)
		if mirror, mr := splitbrain.Decide(p, b, a); mirror != got || mr != refusal {
			t.Fatalf("%+v %q one way, %+v %q the other", got, refusal, mirror, mr)
		}
		if splitbrain.Incident(a, b) != splitbrain.Incident(b, a) {
			t.Fatal("the incident depends on the order")
		}
		verdicts[got.Victim]++
		victim := map[string]*splitbrain.Evidence{"alpha": &a, "beta": &b}[got.Victim]
		if victim == nil {
			continue
		}
		if victim.Role != drbd.RoleSecondary || victim.Promoted != drbd.No || victim.Mounted != drbd.No {
			t.Fatalf("the victim is in use: %+v", victim)
		}
		if !gi.Relate(a.Volumes[0].Identifiers, b.Volumes[0].Identifiers).Diverged() {
			t.Fatalf("a verdict without divergence: %v and %v", a.Volumes, b.Volumes)
		}
	}
	for _, who := range []string{"alpha", "beta", ""} {
		if verdicts[who] < 100 {
			t.Errorf("only %d verdicts against %q", verdicts[who], who)
		}
	}
}

func TestIncident(t *testing.T) {
	a, b := pair(policy(splitbrain.Manual))
	want := splitbrain.Incident(a, b)
	if len(want) != 16 {
		t.Errorf("incident %q, want 16 digits", want)
	}
	for name, tt := range map[string]struct {
		change func()
		same   bool
	}{
		"the flag in a UUID": {func() { a.Volumes[0].Identifiers.Current ^= 1 }, true},
		"another role":       {func() { a.Role = drbd.RoleSecondary }, true},
		"a new generation":   {func() { a.Volumes[0].Identifiers.Current = 0xAA }, false},
		"the peer's new one": {func() { b.Volumes[0].Identifiers.Current = 0xBA }, false},
		"another volume":     {func() { a.Volumes[0].Volume = 7 }, false},
		"another resource":   {func() { a.Resource = "r1" }, false},
		"generations swapped": {func() {
			a.Volumes[0].Identifiers.Current, b.Volumes[0].Identifiers.Current = b.Volumes[0].Identifiers.Current, a.Volumes[0].Identifiers.Current
		}, false},
	} {
		a, b = pair(policy(splitbrain.Manual))
		tt.change()
		if same := splitbrain.Incident(a, b) == want; same != tt.same {
			t.Errorf("%s: the same incident: %v, want %v", name, same, tt.same)
		}
	}
}

// Ensure that each refusal explains itself.
func TestRefusalsExplain(t *testing.T) {
	for _, r := range splitbrain.AllRefusals() {
		why, remedy := r.Explain()
		if !r.Valid() || len(why) < 20 || len(remedy) < 10 {
			t.Errorf("%s: %q, %q", r, why, remedy)
		}
	}
	if why, _ := splitbrain.Refusal("brilliant").Explain(); splitbrain.Refusal("brilliant").Valid() || why != "a reason of another version: brilliant" {
		t.Errorf("a refusal of a future version: %q", why)
	}
}
