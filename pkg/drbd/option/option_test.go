package option_test

import (
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

// Ensure that an option is written where each kernel and LINSTOR look for it.
func TestLookup(t *testing.T) {
	for _, tt := range []struct{ name, section9, section84, linstor string }{
		{"protocol", "net", "net", "DrbdOptions/Net/protocol"},
		{"fencing", "net", "disk", "DrbdOptions/Net/fencing"},
		{"c-max-rate", "disk", "disk", "DrbdOptions/PeerDevice/c-max-rate"},
		{"al-extents", "disk", "disk", "DrbdOptions/Disk/al-extents"},
		{"quorum", "options", "options", "DrbdOptions/Resource/quorum"},
		{"fence-peer", "handlers", "handlers", "DrbdOptions/Handlers/fence-peer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, ok := option.Lookup(tt.name)
			if !ok {
				t.Fatal("unknown")
			}
			if got := o.SectionFor(true); got != tt.section9 {
				t.Errorf("DRBD 9 has it in %s, want %s", got, tt.section9)
			}
			if got := o.SectionFor(false); got != tt.section84 {
				t.Errorf("DRBD 8.4 has it in %s, want %s", got, tt.section84)
			}
			if got := o.LINSTOR(); got != tt.linstor {
				t.Errorf("LINSTOR calls it %s, want %s", got, tt.linstor)
			}
		})
	}
	if _, ok := option.Lookup("c-max-speed"); ok {
		t.Error("c-max-speed is known")
	}
}

// Ensure that each default is an option, under the name that it is listed by.
func TestDefaults(t *testing.T) {
	for name, value := range option.Defaults() {
		if o, ok := option.Lookup(name); !ok || o.Name != name || value == "" {
			t.Errorf("default %s=%q is not an option", name, value)
		}
	}
}
