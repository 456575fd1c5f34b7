package marker_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// Ensure that a marker is there from Set to Clear, for its resource alone, and
// that both may run twice.
func TestMarker(t *testing.T) {
	h := hosttest.New(t)
	check := func(want bool) {
		t.Helper()
		if got, err := marker.There(h, "res0"); err != nil || got != want {
			t.Fatalf("there: %v, %v, want %v", got, err, want)
		}
	}
	check(false)
	for range 2 {
		if err := marker.Set(h, "res0", "drbdtest1 keeps its data"); err != nil {
			t.Fatal(err)
		}
		check(true)
	}
	if other, err := marker.There(h, "res1"); err != nil || other {
		t.Errorf("res1: %v, %v", other, err)
	}
	if text, _ := h.File(marker.Path("res0")); text != "drbdtest1 keeps its data\n" {
		t.Errorf("the file holds %q", text)
	}
	for range 2 {
		if err := marker.Clear(h, "res0"); err != nil {
			t.Fatal(err)
		}
		check(false)
	}
}

// Ensure that what the disk refuses is not taken for done.
func TestErrors(t *testing.T) {
	for _, op := range []string{"splitbrain.marker-dir", "splitbrain.marker-set"} {
		h := hosttest.New(t)
		h.Fail(op, syscall.EROFS)
		if err := marker.Set(h, "res0", ""); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", op, err)
		}
	}
	h := hosttest.New(t)
	if err := marker.Set(h, "res0", ""); err != nil {
		t.Fatal(err)
	}
	h.Fail("splitbrain.marker-clear", syscall.EROFS)
	if err := marker.Clear(h, "res0"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("clear: %v", err)
	}
}
