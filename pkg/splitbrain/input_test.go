package splitbrain

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// Ensure that only the peer's own, newest evidence about this resource counts.
func TestForeignEvidence(t *testing.T) {
	m := NewMachine("alpha", "r0", "beta", Record{})
	good := Evidence{Sequence: 5, Standing: Standing{Node: "beta", Resource: "r0", Peer: "alpha"}}
	m.Handle(noon, PeerEvidence{good})
	for _, change := range []func(*Evidence){
		func(e *Evidence) { e.Node = "gamma" }, func(e *Evidence) { e.Resource = "r1" },
		func(e *Evidence) { e.Peer = "gamma" }, func(e *Evidence) { e.Sequence = 4 },
	} {
		e := good
		e.Sequence = 6
		change(&e)
		m.Handle(noon, PeerEvidence{e})
		if m.peerEvidence.Sequence != 5 {
			t.Errorf("%+v was taken", e)
		}
	}
	m.Handle(noon, PeerGone{})
	if m.fresh() != nil {
		t.Error("evidence of a peer that is gone")
	}
}

// Ensure that a failure to read or to publish is tried again.
func TestRetries(t *testing.T) {
	m := NewMachine("alpha", "r0", "beta", Record{})
	count := func(effects []Effect, like Effect) int {
		n := 0
		for _, e := range effects {
			if reflect.TypeOf(e) == reflect.TypeOf(like) {
				n++
			}
		}
		return n
	}
	first := m.Handle(noon, StateChanged{Connection: drbd.ConnStandAlone})
	if count(first, Publish{}) != 1 || count(first, ReadIdentifiers{}) != 1 || count(first, ClearMarker{}) != 1 {
		t.Fatalf("at first: %v", first)
	}
	m.Handle(noon, Identified{Err: errors.New("no")})
	if e := m.Handle(noon.Add(4*time.Second), Tick{}); len(e) != 0 {
		t.Errorf("too early: %v", e)
	}
	if e := m.Handle(noon.Add(6*time.Second), Tick{}); count(e, ReadIdentifiers{}) != 1 {
		t.Errorf("not read again: %v", e)
	}
	m.Handle(noon.Add(6*time.Second), Identified{Volumes: []Volume{{Identifiers: gi.Identifiers{Current: 0xA0}}}})
	for _, in := range []Input{Published{errors.New("no")}, MarkerCleared{errors.New("no")}, Tick{}} {
		if e := m.Handle(noon.Add(7*time.Second), in); len(e) != 0 {
			t.Errorf("without a pause after %T: %v", in, e)
		}
	}
	if e := m.Handle(noon.Add(13*time.Second), Tick{}); count(e, Publish{}) != 1 || count(e, ClearMarker{}) != 1 {
		t.Errorf("not published or cleared again: %v", e)
	}
	if e := m.Handle(noon.Add(80*time.Second), Tick{}); count(e, Publish{}) != 1 {
		t.Errorf("not published for the attribute daemon to remember: %v", e)
	}
}
