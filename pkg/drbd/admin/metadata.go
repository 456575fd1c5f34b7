package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
)

// CheckFile has drbdadm read the resource file at path by itself, apart from
// the rest of the configuration. A file that it does not take is
// [ErrBrokenConfig]; [Reason] then says where and why.
func (a *Admin) CheckFile(ctx context.Context, path string) error {
	_, err := a.m.Run(ctx, host.Cmd{Op: "drbd.check-file", Name: drbdadmCmd, Args: []string{"--config-file=" + path, "sh-nop"}})
	if err != nil {
		return fmt.Errorf("read %s: %w", path, classifyAdm(err))
	}
	return nil
}

// BackingDevice returns the block device below the first volume of res, from
// the configuration: "/dev/drbdpool/res0", or "" on a diskless node.
func (a *Admin) BackingDevice(ctx context.Context, res string) (string, error) {
	if err := checkName(res); err != nil {
		return "", err
	}
	return a.backingDevice(ctx, res)
}

// BackingDevices returns the block device below each volume of r, as returned by
// [Admin.Status], by volume: from the kernel where its tools print it (since
// drbd-utils 9.17 for DRBD 9), otherwise from the configuration. A volume
// without one is [ErrDetached].
func (a *Admin) BackingDevices(ctx context.Context, r *drbd.Resource) (map[int]string, error) {
	if err := checkName(r.Name); err != nil {
		return nil, err
	}
	out := map[int]string{}
	for _, d := range r.SortedDevices() {
		dev := d.BackingDev
		if !strings.HasPrefix(dev, "/dev/") {
			var err error
			if dev, err = a.backingDevice(ctx, r.Name+"/"+strconv.Itoa(d.Volume)); err != nil {
				return nil, err
			}
		}
		if dev == "" {
			return nil, fmt.Errorf("volume %d of %s: %w", d.Volume, r.Name, ErrDetached)
		}
		out[d.Volume] = dev
	}
	return out, someVolumes(len(out), r)
}

// backingDevice asks the configuration for what is below a resource's first
// volume, or below RES/VOLUME.
func (a *Admin) backingDevice(ctx context.Context, of string) (string, error) {
	out, err := a.drbdadm(ctx, "drbd.backing-device", "sh-ll-dev", of)
	if err != nil {
		return "", fmt.Errorf("backing device of %s: %w", of, err)
	}
	dev, _, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), "\n")
	switch {
	case dev == "" || dev == "none":
		return "", nil
	case !strings.HasPrefix(dev, "/dev/"):
		return "", fmt.Errorf("backing device of %s: drbdadm sh-ll-dev printed %.60q", of, dev)
	}
	return dev, nil
}

// HasMetadata reports whether there is DRBD metadata for res, which must be
// down: the tools do not read what the kernel has attached. It changes nothing.
func (a *Admin) HasMetadata(ctx context.Context, res string) (bool, error) {
	if err := checkName(res); err != nil {
		return false, err
	}
	_, err := a.drbdadm(ctx, "drbd.dump-md", "dump-md", res)
	var ee *host.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &ee) && strings.Contains(ee.Stderr, "No valid meta data found"):
		return false, nil
	case errors.As(err, &ee) && strings.Contains(ee.Stderr, `"unclean"`): // after a crash: to be replayed at the next attach
		return true, nil
	}
	return false, fmt.Errorf("look for metadata of %s: %w", res, err)
}

// CreateMetadata writes DRBD's metadata for res, with room for maxPeers peers;
// 0 is for DRBD 8.4, which has one. It is never forced: drbdmeta looks for data
// and metadata itself and then ends with an error, because nobody can answer
// its question.
func (a *Admin) CreateMetadata(ctx context.Context, res string, maxPeers int) error {
	if err := checkName(res); err != nil {
		return err
	}
	args := []string{"create-md"}
	if maxPeers > 0 {
		args = append(args, "--max-peers="+strconv.Itoa(maxPeers))
	}
	_, err := a.m.Run(ctx, host.Cmd{Op: "drbd.create-md", Name: drbdadmCmd, Args: append(args, res)})
	if err != nil {
		return fmt.Errorf("create metadata of %s: %w", res, classifyAdm(err))
	}
	return nil
}

// justCreated is the current UUID of metadata that create-md has written and
// nothing has been replicated under (UUID_JUST_CREATED in both kernels). The
// lowest bit says that the node is Primary.
const justCreated = 4

// JustCreated reports whether the data of res has no history yet: no node was
// ever its source. It works with res up and down.
func (a *Admin) JustCreated(ctx context.Context, res string) (bool, error) {
	if err := checkName(res); err != nil {
		return false, err
	}
	out, err := a.drbdadm(ctx, "drbd.get-gi", "get-gi", res)
	if err != nil {
		return false, fmt.Errorf("generation identifiers of %s: %w", res, err)
	}
	current, _, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), ":")
	uuid, err := strconv.ParseUint(current, 16, 64)
	if err != nil {
		return false, fmt.Errorf("generation identifiers of %s: drbdadm get-gi printed %.60q", res, out.Stdout)
	}
	return uuid&^1 == justCreated, nil
}

// ForcePrimary declares the data of res on this node good, whatever DRBD knows
// about it, and makes the node Primary: it becomes the source that overwrites
// the peers. It is meant for volumes that [Admin.JustCreated] reports, and for
// nothing else.
func (a *Admin) ForcePrimary(ctx context.Context, res string) error {
	if err := checkName(res); err != nil {
		return err
	}
	_, err := a.m.Run(ctx, host.Cmd{Op: "drbd.primary-force", Name: drbdadmCmd, Args: []string{"primary", "--force", res}})
	if err != nil {
		return fmt.Errorf("primary --force %s: %w", res, classifyAdm(err))
	}
	return nil
}
