package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// volume is a logical volume as lvs shows it, with its volume group's numbers.
// A field that does not apply is empty, which number and flag read as unknown.
type volume struct {
	Group   string `json:"vg_name"`
	Free    number `json:"vg_free"` // bytes
	Extent  number `json:"vg_extent_size"`
	Name    string `json:"lv_name"`
	Size    number `json:"lv_size"` // of a thick snapshot its room
	Role    string `json:"lv_role"`
	Layout  string `json:"lv_layout"`
	Tags    string `json:"lv_tags"`
	Time    number `json:"lv_time"` // seconds since 1970
	Origin  string `json:"origin"`
	Pool    string `json:"pool_lv"`
	Major   number `json:"lv_kernel_major"`
	Minor   number `json:"lv_kernel_minor"`
	Active  flag   `json:"lv_active_locally"`
	Open    flag   `json:"lv_device_open"`
	Invalid flag   `json:"lv_snapshot_invalid"`
	Health  string `json:"lv_health_status"`
	Data    number `json:"data_percent"`
	Meta    number `json:"metadata_percent"`
}

// columns are the fields of a volume. lv_active is not among them: it is words
// that differ with LVM's locking, where lv_active_locally is a flag.
const columns = "vg_name,vg_free,vg_extent_size,lv_name,lv_size,lv_role,lv_layout,lv_tags,lv_time,origin,pool_lv," +
	"lv_kernel_major,lv_kernel_minor,lv_active_locally,lv_device_open,lv_snapshot_invalid,lv_health_status,data_percent,metadata_percent"

// number is bytes, percent or a count, -1 when LVM does not know. LVM prints
// numbers in quotes.
type number float64

// UnmarshalJSON reads a number with or without quotes. Nothing is unknown.
func (n *number) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	if s == "" {
		*n = -1
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%s is not a number", data)
	}
	*n = number(f)
	return nil
}

// flag is what "lvs --binary" prints: 0, 1, or -1 when LVM does not know.
type flag string

// UnmarshalJSON reads a flag with or without quotes.
func (f *flag) UnmarshalJSON(data []byte) error {
	*f = flag(strings.Trim(string(data), `"`))
	return nil
}

const (
	yes flag = "1"
	no  flag = "0"
)

// full is the volume's name as LVM's commands take it.
func (v volume) full() string { return v.Group + "/" + v.Name }

func (v volume) role(word string) bool { return slices.Contains(strings.Split(v.Role, ","), word) }
func (v volume) thin() bool {
	return v.Pool != "" && slices.Contains(strings.Split(v.Layout, ","), "thin")
}

// tag returns the rest of the tag that begins with prefix.
func (v volume) tag(prefix string) (string, bool) {
	for t := range strings.SplitSeq(v.Tags, ",") {
		if rest, ok := strings.CutPrefix(t, prefix); ok {
			return rest, true
		}
	}
	return "", false
}

// snapshot is the volume seen as one of our snapshots, false when it does not
// carry all of our tags.
func (v volume) snapshot(all volumes) (Snapshot, bool) {
	resource, ok1 := v.tag(tagResource)
	word, ok2 := v.tag(tagVolume)
	incident, ok3 := v.tag(tagIncident)
	n, err := strconv.Atoi(word)
	if !ok1 || !ok2 || !ok3 || err != nil || !slices.Contains(strings.Split(v.Tags, ","), tagOurs) {
		return Snapshot{}, false
	}
	s := Snapshot{
		Name: v.full(), Device: "/dev/" + v.full(), Resource: resource, Volume: n, Incident: incident,
		Size: Bytes(v.Size), UsedPercent: float64(v.Data), State: v.state(), Open: v.Open == yes,
	}
	if v.Origin != "" {
		s.Origin = v.Group + "/" + v.Origin
	}
	if v.Time > 0 {
		s.Made = time.Unix(int64(v.Time), 0).UTC()
	}
	if v.thin() {
		s.Pool, s.UsedPercent = v.Group+"/"+v.Pool, -1
		if pool, err := all.find(s.Pool); err == nil {
			s.UsedPercent = float64(pool.Data)
		}
	}
	return s, true
}

// state of one of our snapshots. A thin one stays whole when its origin is
// removed; a thick one cannot be without.
func (v volume) state() State {
	switch {
	case !v.thin() && !v.role("snapshot"):
		return Unfinished
	case v.Health != "", v.Invalid == yes, !v.thin() && v.Data >= 100:
		return Invalid
	case v.Active != yes, !v.thin() && v.Invalid != no:
		return Inactive
	}
	return Valid
}

// volumes are all logical volumes of the machine at one moment.
type volumes []volume

// snapshots are those that are ours, the oldest first.
func (all volumes) snapshots() []Snapshot {
	var list []Snapshot
	for _, v := range all {
		if s, ok := v.snapshot(all); ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Snapshot) int { return cmp.Or(a.Made.Compare(b.Made), strings.Compare(a.Name, b.Name)) })
	return list
}

// named returns our snapshot of that full name.
func (all volumes) named(name string) (Snapshot, bool) {
	v, err := all.find(name)
	if err != nil {
		return Snapshot{}, false
	}
	return v.snapshot(all)
}

// madeFor returns what an earlier call has made for the same request, a valid
// one before others.
func (all volumes) madeFor(origin volume, r Request) (Snapshot, bool) {
	var best Snapshot
	for _, s := range all.snapshots() {
		same := s.Resource == r.Resource && s.Volume == r.Volume && s.Incident == r.Incident
		if !same || s.Origin != origin.full() && s.State != Unfinished {
			continue
		}
		if best.Name == "" || s.State == Valid {
			best = s
		}
	}
	return best, best.Name != ""
}

// find returns the volume that is called by its name, with or without the
// volume group, or by its device.
func (all volumes) find(name string) (volume, error) {
	var found []volume
	for _, v := range all {
		if full := v.full(); name == full || name == "/dev/"+full || name == v.Name {
			found = append(found, v)
		}
	}
	switch len(found) {
	case 0:
		return volume{}, errors.New("there is no such logical volume")
	case 1:
		return found[0], nil
	}
	return volume{}, fmt.Errorf("%s and %s are called so: name it with its volume group", found[0].full(), found[1].full())
}

// look asks LVM for all volumes. Without LVM there are none.
func (k *Keeper) look(ctx context.Context) (volumes, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	res, err := k.m.Run(ctx, host.Cmd{Op: "snapshot.lvs", Name: "lvs", Args: []string{
		"--reportformat", "json", "--units", "b", "--nosuffix", "--binary", "--config", `report/time_format="%s"`, "--options", columns,
	}})
	if errors.Is(err, host.ErrNotInstalled) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at logical volumes: %w", err)
	}
	return parse(res.Stdout)
}

// parse reads what lvs prints.
func parse(data []byte) (volumes, error) {
	var out struct {
		Report []struct {
			Volumes volumes `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("read what lvs prints: %w", err)
	}
	var all volumes
	for _, r := range out.Report {
		all = append(all, r.Volumes...)
	}
	return all, nil
}

// change runs one of LVM's commands that change something.
func (k *Keeper) change(ctx context.Context, op, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	_, err := k.m.Run(ctx, host.Cmd{Op: op, Name: program, Args: args})
	var exit *host.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	// LVM ends wrong usage, and a missing module, with advice instead of the reason.
	var said []string
	for line := range strings.Lines(exit.Stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "Run `") {
			said = append(said, line)
		}
	}
	if len(said) == 0 || strings.HasSuffix(err.Error(), said[len(said)-1]) {
		return err
	}
	return fmt.Errorf("%s: %w", strings.Join(said, "; "), err)
}
