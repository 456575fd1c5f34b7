package cluster

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Names that the lab's configuration uses.
const (
	Resource = "nfs"       // primitive in the CIB
	Clone    = "nfs-clone" // promotable clone in the CIB
	DRBD     = "res0"
	Mount    = "/home/nfs"
	Export   = "/home/nfs/user-data"
	AgentBin = "/usr/lib/ocf/resource.d/spacei/drbdnfs"
)

var (
	//go:embed files/corosync.conf
	corosyncConf string
	//go:embed files/res0.res.tmpl
	resTemplate string
	//go:embed files/setup-node.sh
	setupNode string
	//go:embed files/setup-volume.sh
	setupVolume string

	// OursCIB is the configuration section with the agent under test.
	//go:embed files/cib-ours.xml
	OursCIB string
	// ProcedureCIB is the configuration section as the hand-made procedure has
	// it. Two things differ. The procedure orders the mount after the start of
	// DRBD, which only works where an open promotes it (DRBD 9); here it comes
	// after the promotion. And a failed start is tried again: Pacemaker takes
	// nfs-server for failed when its dependencies need more than two seconds, as
	// they do in an emulated machine, and would stay without a server.
	//go:embed files/cib-procedure.xml
	ProcedureCIB string
	// EmptyCIB is a configuration without resources.
	//go:embed files/cib-empty.xml
	EmptyCIB string

	//go:embed files/procedure-node.sh
	procedureNode string
	//go:embed files/procedure-volume.sh
	procedureVolume string
)

// Cluster is the software side of a rig. Make it with New.
type Cluster struct {
	Rig *rig.Rig
	// DRBD9 is a folder with drbd.ko and drbd_transport_tcp.ko, or "" for the
	// kernel's own DRBD 8.4. New takes it from LAB_DRBD9.
	DRBD9 string
	// Resource is the promotable resource that stands for the service: the
	// agent's, or DRBD's where the hand-made configuration is under test.
	Resource string
	// Nodes are the members of the cluster: the storage nodes, and a tie-breaker
	// where a scenario adds one.
	Nodes []string
	// With lists resources that run where Resource is promoted.
	With []string
}

// New returns the cluster on r's machines; it touches nothing.
func New(r *rig.Rig) *Cluster {
	return &Cluster{Rig: r, DRBD9: os.Getenv("LAB_DRBD9"), Resource: Resource, Nodes: rig.Nodes()}
}

// resource describes one DRBD resource of the lab.
type resource struct {
	Name        string
	Minor, Port int
	V9          bool
}

func (c *Cluster) resFile(name string, minor, port int) (string, error) {
	t, err := template.New("res").Parse(resTemplate)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, resource{Name: name, Minor: minor, Port: port, V9: c.DRBD9 != ""})
	return b.String(), err
}

// EachNode runs f for all members at once and returns their errors.
func (c *Cluster) EachNode(ctx context.Context, f func(ctx context.Context, node string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range c.Nodes {
		g.Go(func() error { return f(ctx, n) })
	}
	return g.Wait()
}

// Both runs a script on both storage nodes at once, and on a tie-breaker.
func (c *Cluster) Both(ctx context.Context, script string) error {
	return c.EachNode(ctx, func(ctx context.Context, node string) error {
		_, err := c.Rig.SSH(ctx, node, script)
		return err
	})
}

// put writes text to a file on a node.
func (c *Cluster) put(ctx context.Context, node, path, text string) error {
	script := fmt.Sprintf("mkdir -p %s && cat >%s <<'END-OF-LAB-FILE'\n%s\nEND-OF-LAB-FILE\n", filepath.Dir(path), path, strings.TrimRight(text, "\n"))
	_, err := c.Rig.SSH(ctx, node, script)
	return err
}

// SetupDRBD turns two blank nodes into a connected, formatted DRBD resource.
func (c *Cluster) SetupDRBD(ctx context.Context) error {
	res, err := c.resFile(DRBD, 1000, 7000)
	if err != nil {
		return err
	}
	return c.Rig.Log.Step("storage: LVM, DRBD, XFS", 15*time.Second, func() error {
		err := c.EachNode(ctx, func(ctx context.Context, node string) error {
			if err := c.installDRBD9(ctx, node); err != nil {
				return err
			}
			if err := c.put(ctx, node, "/etc/drbd.d/res0.res", res); err != nil {
				return err
			}
			_, err := c.Rig.SSH(ctx, node, setupNode)
			return err
		})
		if err != nil {
			return err
		}
		err = rig.Poll(ctx, "DRBD to connect", time.Minute, 500*time.Millisecond, func(ctx context.Context) error {
			out, err := c.Rig.SSH(ctx, rig.Node1, "drbdadm cstate res0")
			if err == nil && !strings.Contains(out, "Connected") {
				err = errors.New(strings.TrimSpace(out))
			}
			return err
		})
		if err != nil {
			return err
		}
		if _, err := c.Rig.SSH(ctx, rig.Node1, setupVolume); err != nil {
			return err
		}
		return c.Both(ctx, "drbdadm down res0; sync")
	})
}

// SetupCluster starts corosync and Pacemaker and waits until both nodes are
// members and a DC is chosen. They start by themselves at each later boot.
func (c *Cluster) SetupCluster(ctx context.Context) error {
	return c.Rig.Log.Step("corosync and pacemaker", 30*time.Second, func() error {
		err := c.EachNode(ctx, func(ctx context.Context, node string) error {
			if err := c.put(ctx, node, "/etc/corosync/corosync.conf", corosyncConf); err != nil {
				return err
			}
			_, err := c.Rig.SSH(ctx, node, "systemctl -q enable corosync pacemaker; systemctl start corosync pacemaker; sync")
			return err
		})
		if err != nil {
			return err
		}
		return rig.Poll(ctx, "both nodes to be online", 5*time.Minute, 3*time.Second, func(ctx context.Context) error {
			for _, node := range rig.Nodes() {
				s, err := c.State(ctx, node)
				if err != nil {
					return err
				}
				if s.DC == "" || !s.Online(rig.Node1) || !s.Online(rig.Node2) {
					return fmt.Errorf("%s sees DC %q, online %v", node, s.DC, s.Nodes)
				}
			}
			return nil
		})
	})
}

// ApplyCIB replaces the CIB's configuration section by xml.
func (c *Cluster) ApplyCIB(ctx context.Context, xml string) error {
	node, err := c.AnyOnline(ctx)
	if err != nil {
		return err
	}
	if err := c.put(ctx, node, "/root/lab-cib.xml", xml); err != nil {
		return err
	}
	_, err = c.Rig.SSH(ctx, node, "cibadmin --replace --scope configuration --xml-file /root/lab-cib.xml")
	return err
}

// AnyOnline returns a storage node that runs and answers Pacemaker queries.
func (c *Cluster) AnyOnline(ctx context.Context) (string, error) {
	var errs []error
	for _, node := range rig.Nodes() {
		if !c.Rig.Running(node) {
			continue
		}
		_, err := c.State(ctx, node)
		if err == nil {
			return node, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no storage node answers: %w", errors.Join(errs...))
}

// InstallDRBD9 puts the modules of LAB_DRBD9 on both nodes, where that is set.
func (c *Cluster) InstallDRBD9(ctx context.Context) error { return c.EachNode(ctx, c.installDRBD9) }

// installDRBD9 puts the modules of LAB_DRBD9 where modprobe prefers them.
func (c *Cluster) installDRBD9(ctx context.Context, node string) error {
	if c.DRBD9 == "" {
		return nil
	}
	for _, m := range []string{"drbd.ko", "drbd_transport_tcp.ko"} {
		if err := c.Rig.Put(ctx, node, filepath.Join(c.DRBD9, m), "/root/drbd9/"+m, "0644"); err != nil {
			return fmt.Errorf("LAB_DRBD9: %w", err)
		}
	}
	_, err := c.Rig.SSH(ctx, node, `set -e
dir=/lib/modules/$(uname -r)/updates
mkdir -p "$dir" && cp /root/drbd9/*.ko "$dir" && depmod
if [ -d /sys/module/drbd ]; then rmmod drbd; fi
modprobe drbd && grep -q '^version: 9' /proc/drbd || { echo "the module is not DRBD 9 for kernel $(uname -r)"; exit 1; }
sync`)
	return err
}
