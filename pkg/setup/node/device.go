package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// device is what was found on a block device.
type device struct {
	size  int64
	found []string        // what is on it; nothing at all makes it blank
	pv    *physicalVolume // it is a physical volume; not in found
}

// block is one entry of lsblk. Its numbers are strings before util-linux 2.33.
type block struct {
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	FSType     *string     `json:"fstype"`
	MountPoint *string     `json:"mountpoint"`
	Size       json.Number `json:"size"`
	ReadOnly   any         `json:"ro"`
	Children   []block     `json:"children"`
}

// inspect looks for anything that uses a device or is on it. It asks the kernel
// (mounts, holders, partitions, swap), udev's data base and, by reading the
// device, libblkid; each of them alone misses something.
func (s *Stage) inspect(ctx context.Context, name string) (device, error) {
	var d device
	own, err := s.canonical(name)
	if err != nil {
		return d, err
	}
	b, err := s.lsblk(ctx, own)
	if err != nil {
		return d, err
	}
	if d.size, err = b.Size.Int64(); err != nil {
		return d, fmt.Errorf("the size of %s: %w", name, err)
	}
	if d.pv, err = s.onDevice(ctx, name); err != nil {
		return d, err
	}
	if d.pv != nil && d.pv.VG != "" {
		d.found = append(d.found, "a physical volume of volume group "+d.pv.VG)
	}
	d.found = append(d.found, b.uses(d.pv != nil)...)
	for _, look := range []func() ([]string, error){
		func() ([]string, error) { return s.signatures(ctx, own, d.pv != nil) },
		func() ([]string, error) { return s.holders(own) },
		func() ([]string, error) { return s.swap(own) },
		func() ([]string, error) { return s.mountedFrom(name, own) },
	} {
		more, err := look()
		if err != nil {
			return d, err
		}
		d.found = append(d.found, more...)
	}
	return d, nil
}

func (s *Stage) lsblk(ctx context.Context, name string) (block, error) {
	out, err := s.run(ctx, "setup.host.lsblk", "lsblk", "--json", "--bytes", "--paths", "--output", "NAME,TYPE,FSTYPE,MOUNTPOINT,SIZE,RO", name)
	if err != nil {
		return block{}, err
	}
	var r struct {
		Devices []block `json:"blockdevices"`
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(out)))
	dec.UseNumber()
	if err := dec.Decode(&r); err != nil {
		return block{}, fmt.Errorf("read what lsblk prints: %w", err)
	}
	if len(r.Devices) != 1 {
		return block{}, fmt.Errorf("lsblk shows %d devices for %s", len(r.Devices), name)
	}
	return r.Devices[0], nil
}

// uses lists what lsblk shows on the device. member says that it is known to be
// a physical volume.
func (b block) uses(member bool) []string {
	var out []string
	if b.FSType != nil && *b.FSType != "" && (!member || *b.FSType != "LVM2_member") {
		out = append(out, *b.FSType)
	}
	if b.MountPoint != nil && *b.MountPoint != "" {
		out = append(out, "mounted on "+*b.MountPoint)
	}
	switch ro := fmt.Sprint(b.ReadOnly); ro {
	case "0", "false", "<nil>":
	default:
		out = append(out, "read-only")
	}
	for _, c := range b.Children {
		out = append(out, c.Type+" "+c.Name)
	}
	return out
}

// signatures probes the device itself. A partition always shows its own entry
// in the table, PART_ENTRY_*; anything else is something on it.
func (s *Stage) signatures(ctx context.Context, name string, member bool) ([]string, error) {
	res, err := s.m.Run(ctx, host.Cmd{Op: "setup.host.blkid", Name: "blkid", Args: []string{"-p", "-o", "export", name}})
	code, ended := exitCode(err)
	var ee *host.ExitError
	switch {
	case !ended:
		return nil, err
	case code == 2 && errors.As(err, &ee) && ee.Stderr == "":
		return nil, nil // nothing found; a device that cannot be read gives 2 as well, and words
	case code == 8:
		return []string{"signatures of more than one kind"}, nil
	case code != 0:
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(res.Stdout)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch k {
		case "TYPE":
			if !member || v != "LVM2_member" {
				found = append(found, "signature "+v)
			}
		case "PTTYPE":
			found = append(found, "partition table "+v)
		}
	}
	return found, nil
}

func (s *Stage) holders(name string) ([]string, error) {
	list, err := s.m.ReadDir("/sys/class/block/" + path.Base(name) + "/holders")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range list {
		out = append(out, "in use by "+h)
	}
	return out, nil
}

func (s *Stage) swap(name string) ([]string, error) {
	data, err := s.m.ReadFile("/proc/swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == name {
			return []string{"in use as swap"}, nil
		}
	}
	return nil, nil
}

func (s *Stage) mountedFrom(names ...string) ([]string, error) {
	list, err := s.m.Mounts()
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if slices.Contains(names, m.Source) {
			return []string{"mounted on " + m.Dir}, nil
		}
	}
	return nil, nil
}

// amount writes a number of bytes for people: "6.00 TiB".
func amount(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + " " + units[i]
}
