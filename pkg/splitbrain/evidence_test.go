package splitbrain_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

func TestEvidenceMarshal(t *testing.T) {
	want, _ := pair(policy(splitbrain.DiscardSecondary))
	want.Version, want.Sequence, want.At = 1, 7, noon
	want.History = []splitbrain.Resolution{{Incident: "0123456789abcdef", At: noon}}
	text, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := splitbrain.UnmarshalEvidence(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(text) > 1500 {
		t.Errorf("%d characters are too many for an attribute", len(text))
	}
}

func TestUnmarshalEvidence(t *testing.T) {
	const head = `{"version":1,"node":"alpha","peer":"beta","resource":"r0"`
	for name, tt := range map[string]struct {
		json string
		ok   bool
	}{
		"the least":                 {head + `}`, true},
		"fields of a future":        {head + `,"colour":"red","policy":{"kind":"manual","shade":1}}`, true},
		"volumes in no order":       {head + `,"volumes":[{"volume":1,"gi":{"c":"A0","f":""}},{"volume":0,"gi":{"c":"B0","f":""}}]}`, true},
		"another version":           {strings.Replace(head, "1", "2", 1) + `}`, false},
		"no version":                {`{"node":"alpha","peer":"beta","resource":"r0"}`, false},
		"no node":                   {`{"version":1,"peer":"beta","resource":"r0"}`, false},
		"a volume twice":            {head + `,"volumes":[{"volume":1},{"volume":0},{"volume":1}]}`, false},
		"a UUID that is none":       {head + `,"volumes":[{"volume":1,"gi":{"c":"none"}}]}`, false},
		"not JSON":                  {`hello`, false},
		"more than an attribute is": {head + `,"x":"` + strings.Repeat("x", 16<<10) + `"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := splitbrain.UnmarshalEvidence(base64.StdEncoding.EncodeToString([]byte(tt.json)))
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, splitbrain.ErrEvidence) {
				t.Errorf("got %v", err)
			}
			for i, v := range got.Volumes {
				if v.Volume != i {
					t.Errorf("volume %d comes as number %d", v.Volume, i)
				}
			}
		})
	}
	if _, err := splitbrain.UnmarshalEvidence("not base64!"); !errors.Is(err, splitbrain.ErrEvidence) {
		t.Errorf("not base64: %v", err)
	}
	big, _ := pair(policy(splitbrain.Manual))
	big.Words = make([]splitbrain.Saying, 1000)
	if _, err := big.Marshal(); !errors.Is(err, splitbrain.ErrEvidence) {
		t.Errorf("writing too much: %v", err)
	}
}

// Ensure that nothing that another node may publish makes this one panic.
func FuzzUnmarshalEvidence(f *testing.F) {
	a, b := pair(policy(splitbrain.DiscardLeastChanges))
	for _, e := range []splitbrain.Evidence{a, b} {
		text, err := e.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		data, _ := base64.StdEncoding.DecodeString(text)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := splitbrain.UnmarshalEvidence(base64.StdEncoding.EncodeToString(data))
		if err != nil {
			return
		}
		own, _ := pair(policy(splitbrain.DiscardLeastChanges))
		own.Peer, e.Peer, e.Resource = e.Node, own.Node, own.Resource
		got, r := splitbrain.Decide(own.Policy, own, e)
		if mirror, mr := splitbrain.Decide(own.Policy, e, own); mirror != got || mr != r {
			t.Fatalf("%+v %q one way, %+v %q the other", got, r, mirror, mr)
		}
		m := splitbrain.NewMachine(own.Node, own.Resource, e.Node, splitbrain.Record{})
		m.Handle(noon, splitbrain.StateChanged{Connection: "StandAlone", Role: "Secondary"})
		m.Handle(noon, splitbrain.PeerEvidence{Evidence: e})
	})
}

func TestRecord(t *testing.T) {
	want := splitbrain.Lost("r0", "beta")
	want.FoundAt, want.Words = noon, []splitbrain.Saying{{Kind: splitbrain.WordKernel, At: noon}}
	data, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := splitbrain.UnmarshalRecord(data)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{
		"", "null", "{}", `{"version":1,"resource":"r0","peer":"beta","phase":"brilliant"}`, `{"version":2,"resource":"r0","peer":"beta","phase":"none"}`,
		`{"version":1,"resource":"r0","phase":"none"}`,
	} {
		if _, err := splitbrain.UnmarshalRecord([]byte(bad)); !errors.Is(err, splitbrain.ErrRecord) {
			t.Errorf("%s: %v, want ErrRecord", bad, err)
		}
	}
}

func TestPolicyValid(t *testing.T) {
	good := policy(splitbrain.KeepNode)
	if !good.Valid() || !(splitbrain.Policy{Kind: splitbrain.Manual}).Valid() {
		t.Error("a good policy is refused")
	}
	for name, change := range map[string]func(*splitbrain.Policy){
		"no kind":                  func(p *splitbrain.Policy) { p.Kind = "" },
		"nobody to keep":           func(p *splitbrain.Policy) { p.Keep = "" },
		"another snapshot mode":    func(p *splitbrain.Policy) { p.Snapshot = "maybe" },
		"no cool-down":             func(p *splitbrain.Policy) { p.CoolDown = 0 },
		"a cool-down of the past":  func(p *splitbrain.Policy) { p.CoolDown = -time.Hour },
		"no resolutions":           func(p *splitbrain.Policy) { p.Resolutions = 0 },
		"more than are remembered": func(p *splitbrain.Policy) { p.Resolutions = 17 },
	} {
		p := good
		change(&p)
		if p.Valid() {
			t.Errorf("%s: valid", name)
		}
	}
}

func TestUnchanged(t *testing.T) {
	a, _ := pair(policy(splitbrain.Manual))
	for name, tt := range map[string]struct {
		change func(e *splitbrain.Evidence)
		want   bool
	}{
		"nothing":          {func(*splitbrain.Evidence) {}, true},
		"flags and counts": {func(e *splitbrain.Evidence) { e.Volumes[0].Identifiers.Current ^= 1; e.Volumes[0].Disk = "Outdated" }, true},
		"current":          {func(e *splitbrain.Evidence) { e.Volumes[0].Identifiers.Current = 0xAA }, false},
		"bitmap":           {func(e *splitbrain.Evidence) { e.Volumes[0].Identifiers.Bitmap = 0 }, false},
		"number":           {func(e *splitbrain.Evidence) { e.Volumes[0].Volume = 1 }, false},
		"another volume":   {func(e *splitbrain.Evidence) { addVolume(e, 0xC0, 0) }, false},
		"no volume":        {func(e *splitbrain.Evidence) { e.Volumes = nil }, false},
	} {
		now := a
		now.ChangedTo(1)
		tt.change(&now)
		if got := splitbrain.Unchanged(a.Volumes, now.Volumes); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if splitbrain.Unchanged(nil, nil) {
		t.Error("nothing known counts as unchanged")
	}
}
