package resfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

// Programs of drbd-utils that keep a node without good data from being
// promoted; DRBD 8.4 has its own.
const (
	fencePeer     = "/usr/lib/drbd/crm-fence-peer.9.sh"
	unfencePeer   = "/usr/lib/drbd/crm-unfence-peer.9.sh"
	fencePeer84   = "/usr/lib/drbd/crm-fence-peer.sh"
	unfencePeer84 = "/usr/lib/drbd/crm-unfence-peer.sh"
)

// harmless are the values with which an option that DRBD 8.4 does not know can
// be left out without giving up what it asks for. An option without an entry
// is tuning.
var harmless = map[string][]string{
	"quorum":    {"off"},
	"tls":       {"no"},
	"transport": {"tcp"},
}

// options84 turns the options m of DRBD 9 into those of DRBD 8.4.
func options84(c *config.Config, m map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value := m[name]
		switch o, _ := option.Lookup(name); {
		case name == "unfence-peer":
			if _, taken := m["after-resync-target"]; taken {
				return nil, errors.New("resource.drbd: DRBD 8.4 runs unfence-peer as after-resync-target, which is set too: leave one out")
			}
			out["after-resync-target"] = handler84(value)
		case !o.Only9:
			out[name] = handler84(value)
		case harmless[name] != nil && !slices.Contains(harmless[name], value):
			return nil, fmt.Errorf("DRBD 8.4 has no %s, and the configuration asks for %s %s (fencing.mode is %q): use DRBD 9, or ask for less",
				name, name, value, c.Fencing.Mode)
		}
	}
	return out, nil
}

// handler84 names the 8.4 counterpart of a handler program.
func handler84(value string) string {
	return strings.NewReplacer(unfencePeer, unfencePeer84, fencePeer, fencePeer84).Replace(value)
}
