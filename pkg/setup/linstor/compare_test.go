package linstor_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	golinstor "github.com/LINBIT/golinstor"

	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

const unknown = golinstor.FailUnknownError

func onVG(backing string) *pool {
	return &pool{name: "pool01", kind: "LVM", props: map[string]string{"StorDriver/StorPoolName": backing}}
}

// differences are LINSTORs that are not as the configuration has it: complete,
// and then changed by hand.
var differences = []struct {
	name, config string
	change       func(c *controller)
	line         string // the one line of the plan that is not a Keep
	calls        string // changing calls of the apply, "" where it must refuse or warn
}{
	{
		"node with another address", twoLVM, func(c *controller) { c.nodes[1].address = "10.0.0.2" },
		"refuse LINSTOR node drbdtest2: LINSTOR reaches it at 10.0.0.2, the file has 192.168.2.62; DRBD's connections would follow the change " +
			"(correct the file, or in a maintenance window: linstor node interface modify drbdtest2 default --ip 192.168.2.62) [node[1].address]", "",
	},
	{
		"controller's node as a satellite", twoLVM, func(c *controller) { c.nodes[0].kind = "SATELLITE" },
		"change LINSTOR node drbdtest1: SATELLITE → Combined [storage.controller]",
		`PUT /v1/nodes/drbdtest1 {"node_type":"Combined"}`,
	},
	{
		"node that takes no volumes", twoLVM, func(c *controller) { c.nodes[1].kind = "AUXILIARY" },
		"refuse LINSTOR node drbdtest2: LINSTOR has it as AUXILIARY, which takes no volumes " +
			"(linstor node modify drbdtest2 --node-type satellite) [node[1].name]", "",
	},
	{
		"evicted node", twoLVM, func(c *controller) { c.nodes[1].flags = []string{"EVICTED"} },
		"refuse LINSTOR node drbdtest2: LINSTOR has evicted it, because it was offline for long (linstor node restore drbdtest2) [node[1].name]", "",
	},
	{
		"complete node without DRBD 9", twoLVM, func(c *controller) { c.nodes[1].noDRBD = "DRBD kernel module version 8.4.11 is too old" },
		"warn LINSTOR node drbdtest2: LINSTOR cannot use it: DRBD kernel module version 8.4.11 is too old " +
			"(load DRBD 9 and restart linstor-satellite on it, then look with linstor node info; " +
			`without DRBD 9 use storage.manager = "drbdadm") [node[1].name]`, "",
	},
	{
		"complete node that is offline", twoLVM, func(c *controller) { c.nodes[1].status, c.nodes[1].looks = "OFFLINE", -1 },
		"warn LINSTOR satellites: drbdtest2 is OFFLINE (systemctl status linstor-satellite on drbdtest2)", "",
	},
	{
		"pool with another driver", twoLVM, func(c *controller) { c.nodes[1].pools["pool01"].kind = "ZFS" },
		"refuse storage pool pool01 on drbdtest2: LINSTOR has it with driver ZFS, the file has LVM " +
			"(correct the file, or name another pool in storage.pool) [storage.driver]", "",
	},
	{
		"pool on another volume group", twoLVM, func(c *controller) { c.nodes[1].pools["pool01"] = onVG("vg7") },
		"refuse storage pool pool01 on drbdtest2: LINSTOR has it on vg7, the file has drbdpool " +
			"(correct the file, or name another pool in storage.pool) [storage.volume_group]", "",
	},
	{
		"pool on another thin pool", twoThin, func(c *controller) {
			c.nodes[1].pools["pool01"].props = map[string]string{"StorDriver/LvmVg": "drbdpool", "StorDriver/ThinPool": "old"}
		},
		"refuse storage pool pool01 on drbdtest2: LINSTOR has it on drbdpool/old, the file has drbdpool/thin " +
			"(correct the file, or name another pool in storage.pool) [storage.thin_pool]", "",
	},
	{
		"pool with a report", twoLVM, func(c *controller) { c.nodes[1].pools["pool01"].report = "Volume group drbdpool not found" },
		"warn storage pool pool01 on drbdtest2: LINSTOR reports: Volume group drbdpool not found (linstor storage-pool list) [storage.pool]", "",
	},
	{
		"resource definition of another group", twoLVM, func(c *controller) { c.rds["res0"].group = "DfltRscGrp" },
		"warn resource definition res0: it belongs to resource group DfltRscGrp, whose properties apply to it as well " +
			"(linstor resource-group list-properties DfltRscGrp) [resource.name]", "",
	},
	{
		"resource definition being deleted", twoLVM, func(c *controller) { c.rds["res0"].flags = []string{"DELETE"} },
		"refuse resource definition res0: LINSTOR is deleting it " +
			"(wait until it is gone from linstor resource-definition list, then run this again) [resource.name]", "",
	},
	{
		"another port", twoLVM, func(c *controller) { c.rds["res0"].port = 7001 },
		"warn resource definition res0: DRBD uses port 7001 there, the file has 7000 " +
			"(correct the file, and see that the firewall lets the port in) [resource.port]", "",
	},
	{
		"another option", twoLVM, func(c *controller) { c.rds["res0"].props["DrbdOptions/PeerDevice/c-max-rate"] = "102400" },
		"change DRBD option c-max-rate of resource definition res0: 102400 → 307200 (300M) [resource.drbd.c-max-rate]",
		`PUT /v1/resource-definitions/res0 {"override_props":{"DrbdOptions/PeerDevice/c-max-rate":"307200"}}`,
	},
	{
		"a missing option", twoLVM, func(c *controller) { delete(c.rds["res0"].props, "DrbdOptions/Net/protocol") },
		"make DRBD options of resource definition res0: protocol=C [resource.drbd]",
		`PUT /v1/resource-definitions/res0 {"override_props":{"DrbdOptions/Net/protocol":"C"}}`,
	},
	{
		"quorum that LINSTOR chose", tied, func(c *controller) { c.rds["res0"].props["Internal/Drbd/QuorumSetBy"] = "linstor" },
		"change DRBD option quorum of resource definition res0: majority, chosen by LINSTOR → majority [fencing.mode]",
		`PUT /v1/resource-definitions/res0 {"override_props":{"DrbdOptions/Resource/quorum":"majority"}}`,
	},
	{
		"smaller volume", twoLVM, func(c *controller) { c.rds["res0"].sizeKiB = 5 << 30 },
		`refuse volume definition 0 of res0: it has 5T, the file has 6T; setup does not grow a volume by itself (write resource.size = "5T", ` +
			"or grow it yourself: linstor volume-definition set-size res0 0 6442450944KiB, then the file system) [resource.size]", "",
	},
	{
		"larger volume", twoLVM, func(c *controller) { c.rds["res0"].sizeKiB = sixTiB + 4 },
		`refuse volume definition 0 of res0: it has 6442450948K, the file has 6T (write resource.size = "6442450948K": ` +
			"a volume is never made smaller) [resource.size]", "",
	},
	{
		"data where the file has none", tied, func(c *controller) {
			r := c.rds["res0"].on("drbdtest3")
			r.flags, r.pool = nil, "pool01"
		},
		"refuse resource res0 on drbdtest3: it has data in storage pool pool01, the file has the node as diskless " +
			"(correct the file, or: linstor resource toggle-disk drbdtest3 res0 --diskless) [node[2].diskless]", "",
	},
	{
		"no data where the file has some", twoLVM, func(c *controller) { c.rds["res0"].on("drbdtest2").flags = []string{"DRBD_DISKLESS"} },
		"refuse resource res0 on drbdtest2: it is diskless, the file has data there " +
			"(linstor resource toggle-disk drbdtest2 res0 --storage-pool pool01) [node[1].diskless]", "",
	},
	{
		"data in another pool", twoLVM, func(c *controller) { c.rds["res0"].on("drbdtest2").pool = "pool02" },
		"refuse resource res0 on drbdtest2: its data is in storage pool pool02, the file has pool01 " +
			"(correct the file: data is never moved to another pool) [storage.pool]", "",
	},
	{
		"inactive resource", twoLVM, func(c *controller) { c.rds["res0"].on("drbdtest2").flags = []string{"INACTIVE"} },
		"refuse resource res0 on drbdtest2: it is inactive (linstor resource activate drbdtest2 res0) [node[1].diskless]", "",
	},
	{
		"resource being deleted", twoLVM, func(c *controller) { c.rds["res0"].on("drbdtest2").flags = []string{"DELETE"} },
		"refuse resource res0 on drbdtest2: LINSTOR is deleting it " +
			"(wait until it is gone from linstor resource list, then run this again) [node[1].diskless]", "",
	},
	{
		"data on a further node", twoLVM, func(c *controller) {
			c.addNode("drbdtest9", "SATELLITE", "192.168.2.69", "ONLINE")
			c.rds["res0"].resources = append(c.rds["res0"].resources, &resource{node: "drbdtest9", pool: "pool01", state: "UpToDate"})
		},
		"warn resource res0 on drbdtest9: it has the data as well, and the file does not name the node " +
			"(name the node in the file, or: linstor resource delete drbdtest9 res0) [node]", "",
	},
	{
		"LINSTOR's own tie-breaker on a further node", twoLVM, func(c *controller) {
			c.addNode("drbdtest9", "SATELLITE", "192.168.2.69", "ONLINE")
			c.rds["res0"].props["DrbdOptions/auto-add-quorum-tiebreaker"] = "True"
			c.rds["res0"].resources = append(c.rds["res0"].resources, &resource{node: "drbdtest9", flags: []string{"TIE_BREAKER"}, state: "Diskless"})
		},
		"warn resource res0 on drbdtest9: it votes as a diskless tie-breaker, and the file does not name the node " +
			"(name the node in the file, or: linstor resource delete drbdtest9 res0) [node]", "",
	},
	{
		"LINSTOR's own tie-breaker on the diskless node", tied, func(c *controller) {
			delete(c.rds["res0"].props, "DrbdOptions/auto-add-quorum-tiebreaker")
			c.rds["res0"].on("drbdtest3").flags = []string{"TIE_BREAKER"}
		},
		"", "",
	},
	{
		"property that the file does not name", twoLVM, func(c *controller) {
			c.rds["res0"].props["DrbdOptions/Net/ping-timeout"] = "20"
			c.rds["res0"].props["Aux/site"] = "tokyo"
		},
		"", "",
	},
	{
		"several interfaces", twoLVM, func(c *controller) { c.nodes[1].interfaces = 3 }, "", "",
	},
	{
		"several interfaces of an older LINSTOR", twoLVM, func(c *controller) { c.nodes[1].interfaces, c.nodes[1].quiet = 3, true }, "", "",
	},
	{
		"interface of another name", twoLVM, func(c *controller) { c.nodes[1].iface, c.nodes[1].quiet = "mgmt", true }, "", "",
	},
	{
		"booleans and names in LINSTOR's case", twoLVM, func(c *controller) {
			c.rds["res0"].props["DrbdOptions/auto-add-quorum-tiebreaker"] = "false"
			c.nodes[0].name, c.rds["res0"].resources[0].node = "DRBDTEST1", "DRBDTEST1"
		},
		"", "",
	},
}

// Ensure that each difference between LINSTOR and the configuration is one item
// with the right action, value, remedy and key; that what is safe is changed by
// one call, and that nothing else is touched.
func TestDifferences(t *testing.T) {
	for _, tt := range differences {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				s := stage(t, c, tt.config)
				apply(t, s)
				tt.change(c)
				c.calls = nil
				if got := remarkable(look(t, s)); got != tt.line {
					t.Fatalf("plan:\n got %s\nwant %s", got, tt.line)
				}
				err := (&watcher{}).apply(t.Context(), s)
				if refused := strings.HasPrefix(tt.line, "refuse "); refused != (err != nil) {
					t.Errorf("apply: %v", err)
				}
				if got := strings.Join(writes(c.calls), "\n"); got != tt.calls {
					t.Errorf("calls:\n got %s\nwant %s", got, tt.calls)
				}
				if err == nil && tt.calls != "" && remarkable(look(t, s)) != "" {
					t.Errorf("it is still to be done: %s", look(t, s))
				}
			})
		})
	}
}

// remarkable are the lines of a plan that are not Keep.
func remarkable(plan string) string {
	var out []string
	for line := range strings.Lines(plan) {
		if !strings.HasPrefix(line, "keep ") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

// Ensure that a node that LINSTOR has never reached, as with a mistyped
// address, gets the one in the file, and that one with data does not.
func TestAddressOfEmptyNode(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(n *node)
		action string
	}{
		{"never reached", func(*node) {}, "change"},
		{"reached", func(n *node) { n.status = "ONLINE" }, "refuse"},
		{"with a pool", func(n *node) { n.pools["other"] = &pool{name: "other", kind: "ZFS"} }, "refuse"},
		{"with two interfaces", func(n *node) { n.interfaces = 2 }, "refuse"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				c.addNode("drbdtest1", "COMBINED", "192.168.2.61", "ONLINE")
				n := c.addNode("drbdtest2", "SATELLITE", "192.168.2.26", "OFFLINE")
				n.looks = -1
				tt.change(n)
				s := stage(t, c, twoLVM)
				if plan := look(t, s); !strings.Contains(plan, tt.action+" LINSTOR node drbdtest2: ") {
					t.Fatalf("plan:\n%s", plan)
				}
				if tt.action == "refuse" {
					return
				}
				apply(t, s)
				want := `PUT /v1/nodes/drbdtest2/net-interfaces/default {"name":"default","address":"192.168.2.62",` +
					`"satellite_port":3366,"satellite_encryption_type":"PLAIN","is_active":true}`
				if !slices.Contains(c.calls, want) {
					t.Errorf("calls: %q", writes(c.calls))
				}
			})
		})
	}
}

// Ensure that the space of pools that are there is compared before anything is
// placed: refused for LVM, told for thin pools.
func TestCapacity(t *testing.T) {
	for _, tt := range []struct {
		name, config, kind, backing string
		free                        int64
		line                        string
	}{
		{
			"LVM, too small", twoLVM, "LVM", "drbdpool", 5 << 30,
			"refuse storage pool pool01 on drbdtest2: 5120 GiB are free, 6T with DRBD's metadata takes 6145 GiB " +
				"(choose a smaller resource.size, or add space to the volume group: vgextend) [resource.size]",
		},
		{
			"LVM, without space for the metadata", twoLVM, "LVM", "drbdpool", sixTiB,
			"refuse storage pool pool01 on drbdtest2: 6144 GiB are free, 6T with DRBD's metadata takes 6145 GiB " +
				"(choose a smaller resource.size, or add space to the volume group: vgextend) [resource.size]",
		},
		{"LVM, enough", twoLVM, "LVM", "drbdpool", sixTiB + 2<<20, ""},
		{
			"thin, less than the volume", twoThin, "LVM_THIN", "drbdpool/thin", 1 << 30,
			"warn storage pool pool01 on drbdtest2: 1024 GiB are free of the 6144 GiB that the volume may grow to: " +
				"writes fail when the thin pool is full (watch data_percent of lvs, or extend the thin pool: lvextend) [resource.size]",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				c.addNode("drbdtest1", "COMBINED", "192.168.2.61", "ONLINE")
				n := c.addNode("drbdtest2", "SATELLITE", "192.168.2.62", "ONLINE")
				n.pools["pool01"] = &pool{name: "pool01", kind: tt.kind, props: map[string]string{"StorDriver/StorPoolName": tt.backing}}
				c.free["drbdtest2"] = tt.free
				var got []string
				for line := range strings.Lines(look(t, stage(t, c, tt.config))) {
					if strings.HasPrefix(line, "refuse ") || strings.HasPrefix(line, "warn ") {
						got = append(got, strings.TrimSpace(line))
					}
				}
				if strings.Join(got, "\n") != tt.line {
					t.Errorf("got %q\nwant %s", got, tt.line)
				}
			})
		})
	}
}

// Ensure that a node without DRBD 9 is refused before anything is made on it,
// also when LINSTOR finds that out only after the node was registered.
func TestNodeWithoutDRBD9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := empty(t)
		c.addNode("drbdtest2", "SATELLITE", "192.168.2.62", "OFFLINE").noDRBD = "DRBD kernel module version 8.4.11 is too old"
		s := stage(t, c, twoLVM)
		err := (&watcher{}).apply(t.Context(), s)
		if err == nil || !strings.Contains(err.Error(), "LINSTOR cannot use drbdtest2: DRBD kernel module version 8.4.11 is too old") {
			t.Errorf("while waiting: %v", err)
		}
		if plan := look(t, s); !strings.Contains(plan, "refuse LINSTOR node drbdtest2: LINSTOR cannot use it: DRBD kernel module") {
			t.Errorf("plan:\n%s", plan)
		}
		if len(c.rds) != 0 {
			t.Error("something was defined all the same")
		}
	})
}

// Ensure that a shared secret reaches LINSTOR and nothing that a person sees,
// also when LINSTOR repeats it.
func TestSharedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret = "drowssap-1"
		text := twoLVM + "[resource.drbd]\ncram-hmac-alg = \"sha1\"\nshared-secret = \"" + secret + "\"\n"
		c := empty(t)
		s := stage(t, c, text)
		seen := look(t, s)
		apply(t, s)
		if got := c.rds["res0"].props["DrbdOptions/Net/shared-secret"]; got != secret {
			t.Errorf("LINSTOR has %q", got)
		}
		c.rds["res0"].props["DrbdOptions/Net/shared-secret"] = "other"
		seen += look(t, s)
		if !strings.Contains(seen, "change DRBD option shared-secret of resource definition res0: *** → *** [resource.drbd.shared-secret]") {
			t.Errorf("plan:\n%s", seen)
		}
		c.intercept = func(r *http.Request) *reply {
			if r.Method != http.MethodPut {
				return nil
			}
			no := failure(golinstor.FailInvldProp, "Invalid value "+secret)
			return &no
		}
		err := (&watcher{}).apply(t.Context(), s)
		if err == nil || !strings.Contains(err.Error(), "Invalid value ***") {
			t.Errorf("got %v", err)
		}
		seen += err.Error() + strings.Join(linstor.Commands(parse(t, text)), "\n")
		if strings.Contains(seen, secret) || strings.Contains(seen, "→ other") {
			t.Errorf("the secret shows:\n%s", seen)
		}
	})
}
