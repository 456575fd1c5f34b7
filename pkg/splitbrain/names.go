package splitbrain

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// Attribute is the name of Pacemaker's attribute in which two nodes publish
// their evidence of resource.
func Attribute(resource, a, b string) string {
	nodes := []string{a, b}
	slices.Sort(nodes)
	return "drbdnfs-evidence-" + resource + "-" + strings.Join(nodes, "-")
}

const recordSuffix = ".json"

// RecordFile is the name of the file of a [Record]: RESOURCE@PEER.json.
func RecordFile(resource, peer string) string {
	return url.QueryEscape(resource) + "@" + url.QueryEscape(peer) + recordSuffix
}

// ParseRecordFile is the reverse of [RecordFile]; ok is false for another file.
func ParseRecordFile(name string) (resource, peer string, ok bool) {
	base, is := strings.CutSuffix(name, recordSuffix)
	resource, peer, both := strings.Cut(base, "@")
	resource, err1 := url.QueryUnescape(resource)
	peer, err2 := url.QueryUnescape(peer)
	return resource, peer, is && both && err1 == nil && err2 == nil
}

// VolumesOf puts together what DRBD says of the volumes of r towards one peer:
// lines are those of get-gi, changed the bytes that the peer lacks; a volume
// that changed leaves out is not known. A line that cannot be read is an error.
func VolumesOf(r *drbd.Resource, lines map[int]string, changed map[int]int64) ([]Volume, error) {
	var out []Volume
	for _, d := range r.SortedDevices() {
		ids, err := gi.Parse(lines[d.Volume], r.Kernel84)
		if err != nil {
			return nil, fmt.Errorf("identifiers of %s volume %d: %w", r.Name, d.Volume, err)
		}
		bytes, ok := changed[d.Volume]
		if !ok {
			bytes = -1
		}
		out = append(out, Volume{Volume: d.Volume, Disk: d.Disk, Identifiers: ids, ChangedBytes: bytes})
	}
	return out, nil
}
