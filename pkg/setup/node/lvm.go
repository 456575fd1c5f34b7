package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tag marks what setup has made in LVM.
const tag = "drbdnfs"

// volumeGroup is one line of vgs.
type volumeGroup struct {
	Name string `json:"vg_name"`
	Size count  `json:"vg_size"`
	Free count  `json:"vg_free"`
	Tags string `json:"vg_tags"`
	LVs  count  `json:"lv_count"`
}

func (v volumeGroup) ours() bool { return slices.Contains(strings.Split(v.Tags, ","), tag) }

// physicalVolume is one line of pvs.
type physicalVolume struct {
	Name string `json:"pv_name"`
	VG   string `json:"vg_name"`
}

// logicalVolume is one line of lvs.
type logicalVolume struct {
	Name string `json:"lv_name"`
	Size count  `json:"lv_size"`
	Type string `json:"segtype"`
}

// count is a number of bytes or objects, which LVM prints in quotes.
type count int64

// UnmarshalJSON reads a number with or without quotes.
func (c *count) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	*c = count(n)
	return err
}

// report runs vgs, pvs or lvs and decodes the list called key.
func report[T any](ctx context.Context, s *Stage, program, key, columns string, args ...string) ([]T, error) {
	args = append([]string{"--reportformat", "json", "--units", "b", "--nosuffix", "--options", columns}, args...)
	out, err := s.run(ctx, "setup.host."+program, program, args...)
	if err != nil {
		return nil, err
	}
	var r struct {
		Report []map[string]json.RawMessage `json:"report"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return nil, fmt.Errorf("read what %s prints: %w", program, err)
	}
	var list []T
	for _, part := range r.Report {
		var some []T
		if raw, ok := part[key]; ok {
			if err := json.Unmarshal(raw, &some); err != nil {
				return nil, fmt.Errorf("read what %s prints: %w", program, err)
			}
		}
		list = append(list, some...)
	}
	return list, nil
}

// group returns the volume group of the configuration, nil where there is none.
func (s *Stage) group(ctx context.Context) (*volumeGroup, error) {
	list, err := report[volumeGroup](ctx, s, "vgs", "vg", "vg_name,vg_size,vg_free,vg_tags,lv_count")
	if err != nil {
		return nil, err
	}
	var found *volumeGroup
	for i := range list {
		if list[i].Name != s.cfg.Storage.VolumeGroup {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("there are two volume groups %s: rename one with vgrename UUID NAME", list[i].Name)
		}
		found = &list[i]
	}
	return found, nil
}

func (s *Stage) physical(ctx context.Context) ([]physicalVolume, error) {
	return report[physicalVolume](ctx, s, "pvs", "pv", "pv_name,vg_name")
}

func (s *Stage) logical(ctx context.Context) ([]logicalVolume, error) {
	return report[logicalVolume](ctx, s, "lvs", "lv", "lv_name,lv_size,segtype", s.cfg.Storage.VolumeGroup)
}

// onDevice returns the physical volume on a device, nil where there is none.
func (s *Stage) onDevice(ctx context.Context, device string) (*physicalVolume, error) {
	list, err := s.physical(ctx)
	if err != nil {
		return nil, err
	}
	want, err := s.canonical(device)
	if err != nil {
		return nil, err
	}
	for i := range list {
		got, err := s.canonical(list[i].Name)
		if err != nil {
			continue // "[unknown]" for a missing device
		}
		if got == want {
			return &list[i], nil
		}
	}
	return nil, nil
}

// canonical follows the links of udev, such as /dev/disk/by-id/..., to the
// device's own name.
func (s *Stage) canonical(device string) (string, error) {
	for range 8 {
		st, err := s.m.Lstat(device)
		if err != nil {
			return "", err
		}
		if st.Mode()&fs.ModeSymlink == 0 {
			return device, nil
		}
		target, err := s.m.Readlink(device)
		if err != nil {
			return "", err
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(device), target)
		}
		device = target
	}
	return "", errors.New(device + ": too many symbolic links")
}
