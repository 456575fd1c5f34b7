package node_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/setup"
)

var firewallTests = []struct {
	name   string
	change func(w *world)
	want   []string
}{
	{"for all clients", func(w *world) { w.replace("client_networks = [\"192.168.2.0/24\"]\n", "") }, []string{
		"firewall-cmd --permanent --zone=public --add-service=drbdnfs-nfs", "firewall-cmd --zone=public --add-service=drbdnfs-nfs",
	}},
	{"a service that the running one does not know", func(w *world) { w.services = "ssh" }, []string{
		`firewall-cmd --permanent --zone=public --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" service name="drbdnfs-cluster" accept`,
		`firewall-cmd --zone=public --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" port port="2224" protocol="tcp" accept` +
			` --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" port port="3121" protocol="tcp" accept` +
			` --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" port port="5404-5412" protocol="udp" accept` +
			` --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" port port="3366" protocol="tcp" accept` +
			` --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" port port="3370" protocol="tcp" accept` +
			` --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" port port="7000-7100" protocol="tcp" accept`,
	}},
	{"for all clients, unknown to the running one", func(w *world) {
		w.replace("client_networks = [\"192.168.2.0/24\"]\n", "")
		w.services = "ssh"
	}, []string{
		"firewall-cmd --permanent --zone=public --add-service=drbdnfs-nfs",
		"firewall-cmd --zone=public --add-port=2049/tcp --add-port=2049/udp --add-port=111/tcp --add-port=111/udp --add-port=32771/tcp --add-port=32771/udp" +
			" --add-port=32772/udp --add-port=32773/tcp --add-port=32773/udp --add-port=32774/tcp --add-port=32775/udp --add-port=32776/tcp --add-port=32776/udp",
	}},
	{"a service address on any interface", func(w *world) { w.replace("interface = \"ens3\"\n", "") }, []string{
		`firewall-cmd --zone=public --add-rich-rule=rule family="ipv4" source address="192.168.2.0/24" service name="drbdnfs-nfs" accept`,
	}},
	{"a second link", func(w *world) {
		w.replace("device", "second_address = \"10.0.0.61\"\ndevice")
		w.replace("address = \"192.168.2.62\"", "address = \"192.168.2.62\"\nsecond_address = \"10.0.0.62\"")
	}, []string{
		`firewall-cmd --zone=public --add-rich-rule=rule family="ipv4" source address="10.0.0.0/24" service name="drbdnfs-cluster" accept`,
	}},
	{"a node in another network", func(w *world) {
		w.replace(`"192.168.2.62"`, `"10.9.9.9"`)
	}, []string{`firewall-cmd --permanent --zone=public --add-rich-rule=rule family="ipv4" source address="10.9.9.9/32" service name="drbdnfs-cluster" accept`}},
	{"a network of the file", func(w *world) {
		w.replace("[storage]", "cluster_network = \"192.168.2.32/27\"\n[storage]")
	}, []string{`firewall-cmd --zone=public --add-rich-rule=rule family="ipv4" source address="192.168.2.32/27" service name="drbdnfs-cluster" accept`}},
	{"IPv6 clients", func(w *world) { w.replace(`["192.168.2.0/24"]`, `["fd00:2::/64"]`) }, []string{
		`firewall-cmd --permanent --zone=public --add-rich-rule=rule family="ipv6" source address="fd00:2::/64" service name="drbdnfs-nfs" accept`,
	}},
}

// Ensure that the firewall is opened to whom the file says, in whatever state it
// is, and never reloaded.
func TestFirewall(t *testing.T) {
	for _, tt := range firewallTests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			if err := w.apply(t.Context(), t); err != nil {
				t.Fatal(err)
			}
			for _, c := range tt.want {
				if !slices.Contains(w.changes(), c) {
					t.Errorf("no %q in\n%s", c, strings.Join(w.changes(), "\n"))
				}
			}
			if strings.Contains(strings.Join(w.changes(), "\n"), "--reload") {
				t.Error("firewalld was reloaded")
			}
			if n := len(w.changes()); w.apply(t.Context(), t) != nil || len(w.changes()) != n {
				t.Errorf("a second run: %q", w.changes()[n:])
			}
		})
	}
	check(t, []sight{
		{"without the package's services", func(w *world) { w.Delete("/usr/lib/firewalld/services/drbdnfs-nfs.xml") }, setup.Refuse, "drbdnfs-nfs", "host.firewall", "no definition"},
		{"does not run", func(w *world) { w.firewalld = false }, setup.Warn, "firewall", "host.firewall", "does not run"},
		{"off", func(w *world) { w.replace(`"firewalld"`, `"off"`) }, setup.Keep, "firewall", "host.firewall", "administrator"},
		{"DRBD's port", func(w *world) { w.replace("[resource]", "[resource]\nport = 8000") }, setup.Warn, "drbdnfs-cluster", "", "8000/tcp"},
		{"other NFS ports", func(w *world) { w.replace("[[export]]", "[nfs.ports]\nmountd = 20048\n[[export]]") }, setup.Warn, "drbdnfs-nfs", "", "20048/tcp, 20048/udp"},
	})
}
