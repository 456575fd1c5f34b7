package snapshot

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Tags of a snapshot. The first alone is on everything that setup has made.
const (
	tagOurs     = "drbdnfs"
	tagResource = "drbdnfs.resource="
	tagVolume   = "drbdnfs.volume="
	tagIncident = "drbdnfs.incident="
)

func (r Request) tags() []string {
	return []string{tagOurs, tagResource + r.Resource, tagVolume + strconv.Itoa(r.Volume), tagIncident + r.Incident}
}

// check refuses what could not be found again.
func (r Request) check() error {
	switch {
	case !taggable(r.Resource):
		return fmt.Errorf("resource %q cannot be part of an LVM tag", r.Resource)
	case !taggable(r.Incident):
		return fmt.Errorf("incident %q cannot be part of an LVM tag", r.Incident)
	case r.Volume < 0:
		return fmt.Errorf("there is no volume %d", r.Volume)
	case r.When.IsZero():
		return errors.New("no time is given for its name")
	}
	return nil
}

// taggable reports whether s can be in a tag. These are all that lvm2 takes
// (validate_tag in lib/misc/lvm-string.c); it has no limit of length.
func taggable(s string) bool {
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("._-+/=!:&#", c) {
			return false
		}
	}
	return s != ""
}

// maxDeviceName is what the device mapper takes (DM_NAME_LEN without its
// terminator). It is stricter than LVM's own limits, 127 characters for a name
// and 124 for the names of volume group and volume together.
const maxDeviceName = 127

// snapshotName is "LV_sb_20261123T140745", with as much of the volume's name as
// there is room for: the origin is found by lvs, not by the name.
func snapshotName(group, lv string, when time.Time) string {
	suffix := when.UTC().Format("_sb_20060102T150405")
	for len(mapped(group))+len("-")+len(mapped(lv+suffix))+len("-cow") > maxDeviceName && len(lv) > 1 {
		lv = lv[:len(lv)-1]
	}
	return lv + suffix
}

// mapped is a name within the device mapper's, where hyphens are doubled.
func mapped(name string) string { return strings.ReplaceAll(name, "-", "--") }
