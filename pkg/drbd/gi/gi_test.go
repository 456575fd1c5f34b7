package gi_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// recorded reads a line that a real DRBD 9.1.23 printed.
func recorded(t *testing.T, node, file string) gi.Identifiers {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "drbd-9.1.23", node, file))
	if err != nil {
		t.Fatal(err)
	}
	id, err := gi.Parse(string(data), false)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, line string
		kernel84   bool
		want       gi.Identifiers
	}{
		{
			"9, Primary that crashed", "AF7C863BC4779AFD:B8602D562BDDA7F6:0000000000000000:0000000000000000:1:1:1:1:0:0:0:0:0:0:0:1\n", false,
			gi.Identifiers{Current: 0xAF7C863BC4779AFD, Bitmap: 0xB8602D562BDDA7F6, Flags: gi.Consistent | gi.UpToDate | gi.Primary | gi.CrashedPrimary | gi.PeerSeen},
		},
		{
			"9, a flag of the future", "0000000000000004:0000000000000000:0000000000000000:0000000000000001:0:0:0:0:1:1:1:1:1:1:1:0:1", false,
			gi.Identifiers{Current: 4, History: [2]gi.UUID{0, 1}, Flags: gi.ALClean | gi.ALDisabled | gi.PrimaryLostQuorum | gi.Connected | gi.PeerOutdated | gi.PeerFencing | gi.FullSync},
		},
		{
			"8.4", "20D57F2F2B2F1F9D:E2B4B1C8A6A0C4A2:93F2B7D1E5C8A0B4:93F1B7D1E5C8A0B4:1:1:1:0:0:0:0", true,
			gi.Identifiers{Current: 0x20D57F2F2B2F1F9D, Bitmap: 0xE2B4B1C8A6A0C4A2, History: [2]gi.UUID{0x93F2B7D1E5C8A0B4, 0x93F1B7D1E5C8A0B4}, Flags: gi.Consistent | gi.UpToDate | gi.Primary},
		},
		{
			"8.4, the last flags", "20D57F2F2B2F1F9C:0000000000000000:0000000000000000:0000000000000000:0:0:0:1:1:1:1", true,
			gi.Identifiers{Current: 0x20D57F2F2B2F1F9C, Flags: gi.Connected | gi.FullSync | gi.PeerOutdated | gi.CrashedPrimary},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := gi.Parse(tt.line, tt.kernel84)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const four = "20D57F2F2B2F1F9D:0000000000000000:0000000000000000:0000000000000000"
	for name, tt := range map[string]struct {
		line     string
		kernel84 bool
	}{
		"nothing":                  {"", false},
		"no flags":                 {four, false},
		"8.4 read as 9":            {four + ":1:1:1:0:0:0:0", false},
		"9 read as 8.4":            {four + ":1:1:1:1:0:0:0:0:0:0:0:1", true},
		"8.4 with a flag too many": {four + ":1:1:1:0:0:0:0:0", true},
		"a flag of 2":              {four + ":1:1:2:0:0:0:0", true},
		"an empty flag":            {four + ":1:1::0:0:0:0", true},
		"a short UUID":             {strings.Replace(four, "20D5", "D5", 1) + ":1:1:1:0:0:0:0", true},
		"a sign":                   {strings.Replace(four, "20D5", "+0D5", 1) + ":1:1:1:0:0:0:0", true},
		"not hexadecimal":          {strings.Replace(four, "20D5", "20G5", 1) + ":1:1:1:0:0:0:0", true},
		"a usage message":          {"USAGE: drbdadm COMMAND [OPTION...]", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := gi.Parse(tt.line, tt.kernel84); !errors.Is(err, gi.ErrSyntax) || got != (gi.Identifiers{}) {
				t.Errorf("got %+v, %v; want ErrSyntax", got, err)
			}
		})
	}
}

// Ensure that what a real split brain left behind is read as one, and that its
// repair ends it.
func TestRecordedSplitBrain(t *testing.T) {
	one, two := recorded(t, "node1", "get-gi-split-brain.txt"), recorded(t, "node2", "get-gi-split-brain.txt")
	if got := gi.Relate(one, two); got != gi.SplitBrain {
		t.Errorf("during the split brain: %s", got)
	}
	one, two = recorded(t, "node1", "get-gi-after.txt"), recorded(t, "node2", "get-gi-after.txt")
	if got := gi.Relate(one, two); got != gi.Same {
		t.Errorf("after the repair: %s", got)
	}
	// One node's identifiers from before the repair no longer prove that a
	// repair can go by the bitmap.
	if got := gi.Relate(one, recorded(t, "node2", "get-gi-split-brain.txt")); got != gi.SplitBrainFull {
		t.Errorf("after, against the peer's from before: %s", got)
	}
}

// Ensure that the words show-gi prints for the flags are the ones this package
// gives them, in the same order.
func TestFlagsAgainstShowGI(t *testing.T) {
	data, err := os.ReadFile("testdata/drbd-9.1.23/node1/gi-split-brain.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := []struct {
		text string
		flag gi.Flags
	}{
		{"Data consistency flag", gi.Consistent},
		{"was/is currently up-to-date", gi.UpToDate},
		{"was/is currently primary", gi.Primary},
		{"was a crashed primary", gi.CrashedPrimary},
		{"activity-log was applied", gi.ALClean},
		{"activity-log was disabled", gi.ALDisabled},
		{"primary when it lost quorum", gi.PrimaryLostQuorum},
		{"was/is currently connected", gi.Connected},
		{"peer's disk was out-dated", gi.PeerOutdated},
		{"A fence policy", gi.PeerFencing},
		{"marking all blocks", gi.FullSync},
		{"saw this node with a backing device", gi.PeerSeen},
	}
	uuids := strings.Repeat("0000000000000000:", 4)
	at := -1
	for i, w := range words {
		pos := strings.Index(string(data), w.text)
		if pos <= at {
			t.Fatalf("%q is not where flag %d is explained", w.text, i)
		}
		at = pos
		flags := strings.Split(strings.Repeat("0", len(words)), "")
		flags[i] = "1"
		id, err := gi.Parse(uuids+strings.Join(flags, ":"), false)
		if err != nil || id.Flags != w.flag {
			t.Errorf("flag %d is %v, %v; want %v", i, id.Flags, err, w.flag)
		}
	}
}

func TestRelate(t *testing.T) {
	const a, b, c, d, x, y = 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0
	ids := func(cur, bitmap gi.UUID, history ...gi.UUID) gi.Identifiers {
		id := gi.Identifiers{Current: cur, Bitmap: bitmap}
		copy(id.History[:], history)
		return id
	}
	tests := []struct {
		name      string
		own, peer gi.Identifiers
		want      gi.Relation
	}{
		{"one generation", ids(a, 0), ids(a, 0), gi.Same},
		{"one generation, one Primary", ids(a|1, 0), ids(a, 0), gi.Same},
		{"one generation, other bitmaps", ids(a, x), ids(a, y), gi.Same},
		{"peer has my bitmap's", ids(a, b), ids(b, 0), gi.Source},
		{"peer has my bitmap's, flags differ", ids(a, b|1), ids(b, 0), gi.Source},
		{"peer has one of my history", ids(a, 0, x, b), ids(b, 0), gi.Source},
		{"each has the other's", ids(a, b), ids(b, a), gi.Unknown},
		{"both wrote", ids(a, x), ids(b, x), gi.SplitBrain},
		{"both wrote, flags differ", ids(a|1, x), ids(b, x|1), gi.SplitBrain},
		{"shared history", ids(a, c, x), ids(b, d, y, x), gi.SplitBrainFull},
		{"my bitmap in its history", ids(a, x), ids(b, d, x), gi.SplitBrainFull},
		{"no bitmaps, nothing shared", ids(a, 0), ids(b, 0), gi.Unrelated},
		{"nothing shared", ids(a, c, x), ids(b, d, y), gi.Unrelated},
		{"only new meta-data shared", ids(a, 4), ids(b, 4), gi.Unrelated},
		{"only new meta-data in history", ids(a, c, 4), ids(b, d, 5), gi.Unrelated},
		{"no current", ids(0, x), ids(b, x), gi.Unknown},
		{"no current but the flag", ids(1, x), ids(b, x), gi.Unknown},
		{"just created", ids(4, 0), ids(b, 4), gi.Unknown},
		{"both just created", ids(4, 0), ids(4, 0), gi.Unknown},
		{"just created, Primary", ids(5, x), ids(b, x), gi.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := gi.Relate(tt.own, tt.peer); got != tt.want {
				t.Errorf("own first: %s, want %s", got, tt.want)
			}
			if got := gi.Relate(tt.peer, tt.own); got != mirrored(tt.want) {
				t.Errorf("peer first: %s, want %s", got, mirrored(tt.want))
			}
			if diverged := tt.want == gi.SplitBrain || tt.want == gi.SplitBrainFull; tt.want.Diverged() != diverged {
				t.Errorf("%s: Diverged() is %v", tt.want, !diverged)
			}
		})
	}
}

// mirrored is r seen from the other node.
func mirrored(r gi.Relation) gi.Relation {
	switch r {
	case gi.Source:
		return gi.Target
	case gi.Target:
		return gi.Source
	}
	return r
}

// Ensure that the JSON is what the other node's version reads, and compact.
func TestJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		id   gi.Identifiers
		want string
	}{
		"recorded": {recorded(t, "node2", "get-gi-split-brain.txt"), `{"c":"D43295DEF6F52C8E","b":"B8602D562BDDA7F6","h":["0C0D482C236BEE8E","0"],"f":"consistent,up-to-date,crashed-primary,peer-seen"}`},
		"nothing":  {gi.Identifiers{}, `{"c":"0","f":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(tt.id)
			if err != nil || string(data) != tt.want {
				t.Fatalf("got %s, %v; want %s", data, err, tt.want)
			}
			var got gi.Identifiers
			if err := json.Unmarshal(data, &got); err != nil || got != tt.id {
				t.Errorf("read back %+v, %v; want %+v", got, err, tt.id)
			}
		})
	}
	var id gi.Identifiers
	if err := json.Unmarshal([]byte(`{"c":"A0","f":"primary,brilliant","z":1}`), &id); err != nil || id != (gi.Identifiers{Current: 0xA0, Flags: gi.Primary}) {
		t.Errorf("of a future version: %+v, %v", id, err)
	}
	if err := json.Unmarshal([]byte(`{"c":"none"}`), &id); !errors.Is(err, gi.ErrSyntax) {
		t.Errorf("a UUID of letters: %v, want ErrSyntax", err)
	}
}

// Ensure that no line makes Parse panic, and that what is read is what was
// printed, relates to itself as it must, and the same from both sides.
func FuzzParse(f *testing.F) {
	f.Add("AF7C863BC4779AFD:B8602D562BDDA7F6:0000000000000000:0000000000000000:1:1:1:1:0:0:0:0:0:0:0:1", "D43295DEF6F52C8E:B8602D562BDDA7F6:0C0D482C236BEE8E:0000000000000000:1:1:0:1:0:0:0:0:0:0:0:1", false)
	f.Add("20D57F2F2B2F1F9D:E2B4B1C8A6A0C4A2:93F2B7D1E5C8A0B4:93F1B7D1E5C8A0B4:1:1:1:0:0:0:0", "0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:0:0:0", true)
	f.Fuzz(func(t *testing.T, line, other string, kernel84 bool) {
		id, err := gi.Parse(line, kernel84)
		if err != nil {
			if !errors.Is(err, gi.ErrSyntax) {
				t.Fatalf("%v is not ErrSyntax", err)
			}
			return
		}
		for _, u := range []gi.UUID{id.Current, id.Bitmap, id.History[0], id.History[1]} {
			if !strings.Contains(strings.ToUpper(line), u.String()) {
				t.Fatalf("%s is not in %q", u, line)
			}
		}
		if r := gi.Relate(id, id); r != gi.Same && r != gi.Unknown {
			t.Fatalf("related to itself as %s", r)
		}
		peer, err := gi.Parse(other, kernel84)
		if err != nil {
			return
		}
		if a, b := gi.Relate(id, peer), gi.Relate(peer, id); mirrored(a) != b {
			t.Fatalf("%s one way, %s the other", a, b)
		}
	})
}
