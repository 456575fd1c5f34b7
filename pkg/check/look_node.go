package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/portblock"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

// room asks whether a snapshot of the volume could be made, for a split brain in
// which hardly anything was changed.
func (l *looker) room(ctx context.Context) (func(*Facts), error) {
	if l.Config.SplitBrain.Snapshot == config.SnapshotOff {
		return nil, nil
	}
	r, err := l.adm.Status(ctx, l.Config.Resource.Name)
	if errors.Is(err, admin.ErrModuleNotLoaded) || errors.Is(err, admin.ErrUnknownResource) {
		return nil, nil // setup's stages tell
	}
	if err != nil {
		return nil, err
	}
	devices, err := l.adm.BackingDevices(ctx, r)
	if err != nil {
		return nil, err
	}
	k := snapshot.New(l.Machine)
	var missing []string
	for _, d := range r.SortedDevices() {
		err := k.Room(ctx, snapshot.Request{Resource: r.Name, Volume: d.Volume, BackingDev: devices[d.Volume]})
		switch {
		case errors.Is(err, snapshot.ErrNoRoom), errors.Is(err, snapshot.ErrNotLVM):
			missing = append(missing, line(err.Error()))
		case err != nil:
			return nil, err
		}
	}
	return func(f *Facts) { f.Room = &Room{strings.Join(missing, "; ")} }, nil
}

// volume asks how full the file system is, where it is mounted.
func (l *looker) volume(ctx context.Context) (func(*Facts), error) {
	there, err := l.mounted()
	if err != nil || !there {
		return nil, err
	}
	out, err := l.run(ctx, "volume", "df", "--block-size=1", "--output=size,avail,itotal,iavail", l.Config.Filesystem.Mount)
	if err != nil {
		return nil, err
	}
	v, err := parseSpace(out)
	return func(f *Facts) { f.Volume = &v }, err
}

func (l *looker) state(context.Context) (func(*Facts), error) {
	there, err := l.mounted()
	if err != nil {
		return nil, err
	}
	place, err := nfs.NewState(l.Machine, l.Config.StateDir()).Place()
	return func(f *Facts) { f.State = &State{place, there} }, err
}

// block asks for a block of the ports. Where no action has run since the last
// boot there is none, and to ask would load nf_tables.
func (l *looker) block(ctx context.Context) (func(*Facts), error) {
	record, err := group.LoadRecord(l.Machine, l.Config.Pacemaker.Group)
	if err != nil {
		return nil, err
	}
	b := &Block{Action: record.Action}
	if record.Params != nil {
		b.There, err = portblock.New(l.Machine, host.Block{}).Status(ctx)
	}
	return func(f *Facts) { f.Block = b }, err
}

// ports asks the portmapper, while this node serves NFSv3.
func (l *looker) ports(ctx context.Context) (func(*Facts), error) {
	there, err := l.mounted()
	if err != nil || !there || !three(l.Config) {
		return nil, err
	}
	out, err := l.run(ctx, "ports", "rpcinfo", "-p", "127.0.0.1")
	if err != nil {
		return nil, err
	}
	list := parsePorts(out)
	return func(f *Facts) { f.Ports = &list }, nil
}

// times reads lease and grace of the kernel's server, while it runs here.
func (l *looker) times(context.Context) (func(*Facts), error) {
	there, err := l.mounted()
	if err != nil || !there {
		return nil, err
	}
	var t Times
	for path, dst := range map[string]*time.Duration{"/proc/fs/nfsd/nfsv4leasetime": &t.Lease, "/proc/fs/nfsd/nfsv4gracetime": &t.Grace} {
		data, err := l.Machine.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // the server is not loaded
		}
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		*dst = time.Duration(n) * time.Second
	}
	return func(f *Facts) { f.Times = &t }, nil
}

// bootUnit mends the NFS state link before anything needs it.
const bootUnit = "drbdnfs-state.service"

func (l *looker) units(ctx context.Context) (func(*Facts), error) {
	out, err := l.run(ctx, "units", "systemctl", "list-units", "--all", "--state=failed", "--plain", "--no-legend", "--no-pager")
	if err != nil {
		return nil, err
	}
	u := &Units{Failed: parseFailed(out)}
	if out, err = l.run(ctx, "units", "systemctl", "show", "--property=LoadState", bootUnit); err != nil {
		return nil, err
	}
	u.Boot = strings.TrimPrefix(strings.TrimSpace(out), "LoadState=")
	return func(f *Facts) { f.Units = u }, nil
}

// selinux lists denials since the last boot, where SELinux enforces.
func (l *looker) selinux(ctx context.Context) (func(*Facts), error) {
	data, err := l.Machine.ReadFile("/sys/fs/selinux/enforce")
	if errors.Is(err, fs.ErrNotExist) {
		return func(f *Facts) { f.SELinux = &SELinux{} }, nil
	}
	if err != nil {
		return nil, err
	}
	s := &SELinux{Enforcing: strings.TrimSpace(string(data)) == "1"}
	if s.Enforcing {
		// Without --input-logs ausearch reads its standard input here.
		out, err := l.run(ctx, "denials", "ausearch", "--input-logs", "--message", "AVC", "--start", "boot", "--raw")
		var ended *host.ExitError
		switch {
		case errors.Is(err, host.ErrNotInstalled):
			s.NoTool = true
		case errors.As(err, &ended) && ended.Code == 1 && strings.Contains(ended.Stderr, "no matches"):
		case err != nil:
			return nil, err
		}
		s.Denials = parseDenials(out)
	}
	return func(f *Facts) { f.SELinux = s }, nil
}

// clocks asks each other node for its time, by IP's timestamp option: the
// kernels put milliseconds since midnight into the packet.
func (l *looker) clocks(ctx context.Context) (func(*Facts), error) {
	clocks := map[string]Clock{}
	var missing error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range l.Config.Nodes {
		if n.Name == l.Self {
			continue
		}
		wg.Go(func() {
			out, err := l.run(ctx, "clock", "ping", "-n", "-c", "1", "-W", "2", "-T", "tsandaddr", n.Address)
			c := Clock{}
			if err == nil {
				c = parseClock(out, n.Address)
			}
			mu.Lock()
			defer mu.Unlock()
			clocks[n.Name] = c
			if errors.Is(err, host.ErrNotInstalled) {
				missing = err
			}
		})
	}
	wg.Wait()
	return func(f *Facts) { f.Clocks = clocks }, errors.Join(missing, ctx.Err())
}

// metrics asks drbdnfsd whether it is well; with TLS, only whether it is there.
func (l *looker) metrics(ctx context.Context) (func(*Facts), error) {
	addr, ok := l.Config.MetricsAddress(l.Self)
	if addr == "" || !ok {
		return nil, nil
	}
	if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}
	m := &Metrics{Address: addr}
	if err := l.healthy(ctx, addr); err != nil {
		m.Problem = line(err.Error())
	}
	return func(f *Facts) { f.Metrics = m }, nil
}

func (l *looker) healthy(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, SourceLimit/2)
	defer cancel()
	if l.Config.Metrics.TLSCert != "" {
		conn, err := l.Dial(ctx, "tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		return err
	}
	res, err := l.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			return op.Err // without the request, which says nothing
		}
		return err
	}
	if res.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", res.Status)
	}
	return errors.Join(err, res.Body.Close())
}

// three reports whether the configuration offers NFSv3.
func three(c *config.Config) bool {
	v, err := nfs.ParseVersions(strings.Join(c.NFS.Versions, " "))
	return err == nil && v.V3
}
