package grow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/drbdadm"
)

// volumeStage makes the logical volumes and DRBD's device larger.
type volumeStage struct{ base }

var _ setup.Stage = (*volumeStage)(nil)

// Name returns [Volume].
func (*volumeStage) Name() string { return Volume }

// Look compares the sizes with the one that is asked for.
func (s *volumeStage) Look(ctx context.Context) ([]setup.Item, error) {
	res := s.Config.Resource.Name
	r, err := s.adm.Status(ctx, res)
	if errors.Is(err, admin.ErrUnknownResource) || errors.Is(err, admin.ErrModuleNotLoaded) {
		return []setup.Item{{
			Object: "DRBD resource " + res, Action: setup.Refuse, Detail: "it is down on this node",
			Why: "Pacemaker brings it up when the node is not on standby: pcs status",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	if items := judge(r, s.Config, s.Size.Bytes()); len(items) > 0 {
		return items, nil
	}
	if have := deviceBytes(r); have >= s.Size.Bytes() {
		return []setup.Item{{Object: s.device(), Action: setup.Keep, Detail: config.Size(have).String()}}, nil
	}
	if s.LINSTOR != nil {
		items, err := s.LINSTOR(ctx, s.Size)
		return append(items, s.await(r, "LINSTOR makes it larger")), err
	}
	return s.byHand(ctx, r)
}

// device is how items call DRBD's device.
func (s *volumeStage) device() string { return "DRBD device of " + s.Config.Resource.Name }

// byHand is what this node does without LINSTOR.
func (s *volumeStage) byHand(ctx context.Context, r *drbd.Resource) ([]setup.Item, error) {
	var items []setup.Item
	need := drbdadm.VolumeBytes(s.Config, s.Size, !r.Kernel84)
	if n, _ := s.Config.Node(s.Self); !n.Diskless {
		lv, err := s.logical(ctx)
		if err != nil {
			return nil, err
		}
		items = append(items, s.lvItem(lv, need))
	}
	words, err := s.words(ctx)
	if err != nil {
		return append(items, setup.Item{
			Object: "the other nodes", Action: setup.Refuse, Detail: err.Error(),
			Why: "the nodes let each other know through Pacemaker when they are ready: pcs status",
		}), nil
	}
	if len(items) > 0 && words[s.Self] < need {
		items = append(items, setup.Item{
			Object: "word to the other nodes", Action: setup.Make, Detail: "that this node is ready",
			Do: func(ctx context.Context, _ setup.Progress) error { return s.tell(ctx) },
		})
	}
	for _, n := range s.Config.Diskful() {
		if n.Name != s.Self && words[n.Name] < need {
			items = append(items, s.awaitNode(n.Name, need))
		}
	}
	if r.Role != drbd.RolePrimary {
		return append(items, s.await(r, primary(r)+", which is Primary, makes it larger")), nil
	}
	return append(items, setup.Item{
		Object: s.device(), Action: setup.Change, Detail: s.change(r),
		Do: func(ctx context.Context, p setup.Progress) error { return s.resize(ctx, p) },
	}), nil
}

func (s *volumeStage) change(r *drbd.Resource) string {
	return fmt.Sprintf("%s → %s", config.Size(deviceBytes(r)), s.Size)
}

// lv is this node's logical volume as lvs shows it.
type lv struct {
	Size   int64  `json:"lv_size,string"`
	Attr   string `json:"lv_attr"`
	Free   int64  `json:"vg_free,string"`
	Extent int64  `json:"vg_extent_size,string"`
}

func (s *volumeStage) lvName() string {
	return s.Config.Storage.VolumeGroup + "/" + s.Config.Resource.Name
}

// logical asks LVM for the volume below DRBD's device.
func (s *volumeStage) logical(ctx context.Context) (lv, error) {
	res, err := s.Machine.Run(ctx, host.Cmd{Op: "grow.lvs", Name: "lvs", Args: []string{
		"--reportformat", "json", "--units", "b", "--nosuffix", "-o", "lv_size,lv_attr,vg_free,vg_extent_size", s.lvName(),
	}})
	if err != nil {
		return lv{}, fmt.Errorf("look at logical volume %s: %w", s.lvName(), err)
	}
	var out struct {
		Report []struct {
			LV []lv `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(res.Stdout, &out); err != nil {
		return lv{}, fmt.Errorf("look at logical volume %s: %w", s.lvName(), err)
	}
	for _, r := range out.Report {
		for _, v := range r.LV {
			if v.Size > 0 && v.Extent > 0 {
				return v, nil
			}
		}
	}
	return lv{}, fmt.Errorf("lvs does not say how large %s is", s.lvName())
}

// lvItem is what is done about the logical volume, which needs need bytes.
func (s *volumeStage) lvItem(v lv, need int64) setup.Item {
	it := setup.Item{Object: "logical volume " + s.lvName()}
	more := (need - v.Size + v.Extent - 1) / v.Extent * v.Extent
	thin := strings.HasPrefix(v.Attr, "V")
	switch {
	case more <= 0:
		it.Action, it.Detail = setup.Keep, bytes(v.Size)
	case !thin && v.Free < more:
		it.Action = setup.Refuse
		it.Detail = fmt.Sprintf("volume group %s on %s has %s free, %s more are needed (%s and DRBD's metadata)",
			s.Config.Storage.VolumeGroup, s.Self, bytes(v.Free), bytes(more), s.Size)
		it.Why = "choose a smaller size, or give the volume group on " + s.Self + " another device: vgextend"
	case strings.HasPrefix(v.Attr, "o") || strings.HasPrefix(v.Attr, "O"):
		it.Action, it.Detail = setup.Refuse, "it has snapshots, with which LVM does not grow it"
		it.Why = "look into them, then remove them: drbdnfs split-brain snapshots, lvs"
	default:
		it.Action, it.Detail = setup.Change, bytes(v.Size)+" → "+bytes(v.Size+more)
		if thin {
			it.Why = "it is thin: see that its pool has room, lvs " + s.Config.Storage.VolumeGroup
		}
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.extend(ctx, need) }
	}
	return it
}

// extend makes the logical volume larger, unless it is already.
func (s *volumeStage) extend(ctx context.Context, need int64) error {
	_, err := s.Machine.Run(ctx, host.Cmd{Op: "grow.lvextend", Name: "lvextend", Args: []string{"--size", fmt.Sprintf("%db", need), s.lvName()}})
	if err != nil {
		return fmt.Errorf("grow logical volume %s: %w", s.lvName(), err)
	}
	v, err := s.logical(ctx)
	if err != nil {
		return err
	}
	if v.Size < need {
		return fmt.Errorf("grow logical volume %s: LVM shows %d bytes, %d are needed", s.lvName(), v.Size, need)
	}
	s.Log.InfoContext(ctx, "logical volume grown", "volume", s.lvName(), "bytes", v.Size)
	return nil
}

// attribute is where the nodes say how large their logical volumes are.
func (s *volumeStage) attribute() string { return "drbdnfs-grow-" + s.Config.Resource.Name }

// word is what a node says.
type word struct {
	Bytes int64 `json:"lv_bytes"`
}

// words returns the sizes that the nodes have told, by node.
func (s *volumeStage) words(ctx context.Context) (map[string]int64, error) {
	said, err := s.Cluster.Query(ctx, s.attribute())
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for node, value := range said {
		var w word
		if json.Unmarshal(value, &w) == nil { // what is not ours is as if nothing were said
			out[node] = w.Bytes
		}
	}
	return out, nil
}

// tell lets the other nodes know how large the logical volume here is.
func (s *volumeStage) tell(ctx context.Context) error {
	v, err := s.logical(ctx)
	if err != nil {
		return err
	}
	value, err := json.Marshal(word{Bytes: v.Size})
	if err != nil {
		return fmt.Errorf("write the size down: %w", err)
	}
	if err := s.Cluster.Publish(ctx, s.attribute(), value); err != nil {
		return fmt.Errorf("let the other nodes know: %w", err)
	}
	return nil
}

// awaitNode waits until a node says that its volume is large enough.
func (s *volumeStage) awaitNode(node string, need int64) setup.Item {
	return setup.Item{
		Object: "logical volume on " + node, Action: setup.Await, Detail: "run drbdnfs grow " + s.Size.String() + " there too",
		Do: func(ctx context.Context, p setup.Progress) error {
			return setup.Poll(ctx, func() (bool, error) {
				words, err := s.words(ctx)
				if err != nil {
					return false, err
				}
				p.Waiting(node + ": run drbdnfs grow " + s.Size.String() + " there")
				return words[node] >= need, nil
			})
		},
	}
}

// await waits until DRBD's device is as large as it is to be.
func (s *volumeStage) await(r *drbd.Resource, who string) setup.Item {
	return setup.Item{
		Object: s.device(), Action: setup.Await, Detail: s.change(r) + ", " + who,
		Do: func(ctx context.Context, p setup.Progress) error {
			p.Waiting(who)
			return s.grown(ctx)
		},
	}
}

// resizeLimit is how long the device may take after DRBD has taken the order, and
// settle how long the synchronisation of the new part may take to begin.
const (
	resizeLimit = time.Minute
	settle      = 3 * time.Second
)

// resize has DRBD take the room that all disks have now, and returns when the
// device is larger. The nodes tell each other their sizes only then.
func (s *volumeStage) resize(ctx context.Context, p setup.Progress) error {
	res := s.Config.Resource.Name
	p.Waiting("drbdadm resize " + res)
	if _, err := s.Machine.Run(ctx, host.Cmd{Op: "grow.resize", Name: "drbdadm", Args: []string{"resize", res}}); err != nil {
		return fmt.Errorf("drbdadm resize %s: %s: %w", res, admin.Reason(err), err)
	}
	limited, cancel := context.WithTimeout(ctx, resizeLimit)
	defer cancel()
	err := s.grown(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("DRBD has taken the order, and its device is smaller than %s after %s: a node's disk is too small (lvs on each node), or the option size of the resource limits it",
			s.Size, resizeLimit)
	}
	if err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "DRBD device grown", "resource", res, "size", s.Size.String())
	return s.begun(ctx)
}

// status is the resource, which has to be up.
func (b *base) status(ctx context.Context) (*drbd.Resource, error) {
	r, err := b.adm.Status(ctx, b.Config.Resource.Name)
	if errors.Is(err, admin.ErrUnknownResource) || errors.Is(err, admin.ErrModuleNotLoaded) {
		return nil, fmt.Errorf("%w: %w", errNotUp, err)
	}
	return r, err
}

// grown returns when the device has its size.
func (s *volumeStage) grown(ctx context.Context) error {
	return setup.Poll(ctx, func() (bool, error) {
		r, err := s.status(ctx)
		if err != nil {
			return false, err
		}
		return deviceBytes(r) >= s.Size.Bytes(), nil
	})
}

// begun returns when the synchronisation of the new part has begun, or is not
// going to: the peers agree on it a moment after they have the new size.
func (s *volumeStage) begun(ctx context.Context) error {
	deadline := time.Now().Add(settle)
	return setup.Poll(ctx, func() (bool, error) {
		r, err := s.status(ctx)
		if err != nil {
			return false, err
		}
		for _, conn := range r.SortedConnections() {
			for _, p := range conn.SortedPeerDevices() {
				if p.Syncing() {
					return true, nil
				}
			}
		}
		return time.Now().After(deadline), nil
	})
}

// bytes writes a number of bytes for people: exactly where a unit allows it.
func bytes(n int64) string { return config.Size(n).String() }
