package cib_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
)

// edit changes the first element at path of doc.
func edit(t *testing.T, doc *etree.Document, path string, change func(el *etree.Element)) {
	t.Helper()
	el := doc.FindElement(path)
	if el == nil {
		t.Fatalf("there is no %s", path)
	}
	change(el)
}

func set(key, value string) func(el *etree.Element) {
	return func(el *etree.Element) { el.CreateAttr(key, value) }
}

// drop removes an element.
func drop(el *etree.Element) { el.Parent().RemoveChild(el) }

// added appends XML text to an element.
func added(text string) func(el *etree.Element) {
	return func(el *etree.Element) {
		doc := etree.NewDocument()
		if err := doc.ReadFromString(text); err != nil {
			panic(err)
		}
		el.AddChild(doc.Root().Copy())
	}
}

const restarts = " (clients wait: the resource restarts on every node)"

// Ensure that a clone that pcs has made, old words or new, is as the
// configuration has it.
func TestMergeNothing(t *testing.T) {
	for _, file := range []string{"pcs-0.10.xml", "pcs-0.11.xml", "master.xml"} {
		t.Run(file, func(t *testing.T) {
			doc := load(t, file)
			before := text(t, doc)
			out, changes := merge(t, doc, example())
			if len(changes) > 0 || text(t, out) != before {
				t.Errorf("changes: %q", lines(changes))
			}
		})
	}
}

var configurationChanges = []struct {
	name   string
	change func(c *config.Config)
	want   []string
}{
	{"threads", func(c *config.Config) { c.NFS.Threads = 64 }, []string{"change primitive nfs: nfs_threads 128 → 64"}},
	{
		"export added",
		func(c *config.Config) {
			c.Exports = append(c.Exports, config.Export{Path: "/home/nfs/b", Clients: []string{"*"}, Options: []string{"ro"}})
		},
		[]string{"change primitive nfs: exports +/home/nfs/b *(ro)"},
	},
	{
		"export changed",
		func(c *config.Config) { c.Exports[0].Options = []string{"ro"} },
		[]string{"change primitive nfs: exports -/home/nfs/user-data 192.168.2.0/24(rw,sync,no_root_squash); +/home/nfs/user-data 192.168.2.0/24(ro)"},
	},
	{
		"address added",
		func(c *config.Config) { c.VIPs = append(c.VIPs, config.VIP{Address: "fd00::1/64"}) },
		[]string{"change primitive nfs: vips 192.168.2.63/24@ens3 → 192.168.2.63/24@ens3 fd00::1/64"},
	},
	{
		"file system", func(c *config.Config) { c.Filesystem.Type, c.Filesystem.MountOptions = "ext4", "noatime" },
		[]string{"change primitive nfs: fstype xfs → ext4" + restarts, "change primitive nfs: mount_options none → noatime" + restarts},
	},
	{
		"times", func(c *config.Config) {
			c.NFS.LeaseTime, c.NFS.GraceTime = config.Duration(90*time.Second), config.Duration(1500*time.Millisecond)
		},
		[]string{"change primitive nfs: lease_time 30s → 90s" + restarts, "change primitive nfs: grace_time 30s → 1500ms" + restarts},
	},
	{
		"interval", func(c *config.Config) { c.Pacemaker.MonitorInterval = config.Duration(61 * time.Second) },
		[]string{
			"change operation monitor (Promoted) of nfs: interval 10s → 62s; its monitor is restarted",
			"change operation monitor (Unpromoted) of nfs: interval 20s → 122s; its monitor is restarted",
		},
	},
	{"notify", func(c *config.Config) { c.Pacemaker.Notify = true }, []string{"change clone nfs-clone: notify false → true"}},
	{
		"preferred", func(c *config.Config) { c.Pacemaker.Preferred = "drbdtest2" },
		[]string{"make location nfs-preferred: nfs-clone is Promoted on drbdtest2 when all else is equal"},
	},
	{
		"third node", third, []string{"change clone nfs-clone: clone-max 2 → 3"},
	},
	{
		"tie-breaker with quorum", func(c *config.Config) { tieBreaker(c); quorum(c) },
		[]string{
			"change property no-quorum-policy: ignore → stop",
			"make location nfs-diskless-drbdtest3: nfs-clone never runs on drbdtest3",
		},
	},
	{
		"no failure timeout", func(c *config.Config) { c.Pacemaker.FailureTimeout, c.Pacemaker.MigrationThreshold = 0, 0 },
		[]string{"change primitive nfs: migration-threshold 3 → 0", "change primitive nfs: failure-timeout 5min → 0s"},
	},
	{
		"fencing", fenced,
		[]string{
			"change property stonith-enabled: false → true",
			"change property no-quorum-policy: ignore → stop",
			"make property priority-fencing-delay: 15s (default 0)",
			"make fence device drbdnfs-ipmi1: stonith:fence_ipmilan for drbdtest1",
			"make fence device drbdnfs-ipmi2: stonith:fence_ipmilan for drbdtest2",
			"change clone nfs-clone: priority none → 10",
			"change operation stop of nfs: on-fail none → fence",
			"make location drbdnfs-ipmi1-not-on-drbdtest1: drbdnfs-ipmi1 never runs on drbdtest1",
			"make location drbdnfs-ipmi2-not-on-drbdtest2: drbdnfs-ipmi2 never runs on drbdtest2",
		},
	},
}

// Ensure that a change of the configuration is the change of that one value, and
// that those that interrupt the service say so.
func TestMergeConfiguration(t *testing.T) {
	for _, tt := range configurationChanges {
		t.Run(tt.name, func(t *testing.T) {
			_, changes := merge(t, load(t, "pcs-0.11.xml"), with(tt.change))
			if diff := cmp.Diff(tt.want, lines(changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// Places in the CIB that pcs has made.
const (
	primitive  = "//primitive[@id='nfs']"
	clone      = "//clone[@id='nfs-clone']"
	attributes = primitive + "/instance_attributes"
	ops        = primitive + "/operations"
	deep       = ops + "/op[@interval='61s']"
)

func operationPath(name string) string { return ops + "/op[@name='" + name + "']" }

var valuesOfSomebody = []struct {
	name   string
	path   string
	change func(el *etree.Element)
	config func(c *config.Config)
	want   []string
}{
	{"longer timeout", operationPath("stop"), set("timeout", "10min"), nil, nil},
	{"shorter timeout", operationPath("stop"), set("timeout", "20"), nil, []string{"change operation stop of nfs: timeout 20 → 120s"}},
	{"no timeout", operationPath("start"), func(el *etree.Element) { el.RemoveAttr("timeout") }, nil, []string{"change operation start of nfs: timeout none → 240s"}},
	{"strange timeout", operationPath("start"), set("timeout", "PT5M"), nil, []string{"drift operation start of nfs: timeout PT5M is not understood; the agent needs 240s"}},
	{"no operation", operationPath("notify"), drop, nil, []string{"make operation notify of nfs: timeout 20s"}},
	{"no deep monitor", deep, drop, nil, []string{"make operation monitor (Promoted, OCF_CHECK_LEVEL=10) of nfs: every 61s, timeout 40s"}},
	{"own deep interval", deep, set("interval", "5min"), nil, nil},
	{"own operation", ops, added(`<op id="mine" name="monitor" interval="300s" role="Promoted" timeout="9s"/>`), nil, nil},
	{
		"own operation at our interval", ops, added(`<op id="mine" name="monitor" interval="22s" role="Stopped" timeout="9s"/>`),
		func(c *config.Config) { c.Pacemaker.MonitorInterval = config.Duration(11 * time.Second) },
		[]string{
			"change operation monitor (Promoted) of nfs: interval 10s → 11s; its monitor is restarted",
			"change operation monitor (Unpromoted) of nfs: interval 20s → 23s; its monitor is restarted",
		},
	},
	{"on-fail demote", deep, set("on-fail", "demote"), nil, []string{
		"drift operation nfs-monitor-interval-61s of nfs: on-fail=demote leaves the group without a monitor after a failure: remove it",
	}},
	{"on-fail fence without fencing", operationPath("stop"), set("on-fail", "fence"), nil, []string{"change operation stop of nfs: on-fail fence → none"}},
	{"other parameter", attributes, added(`<nvpair id="x" name="log_level" value="debug"/>`), nil, nil},
	{"default spelled out", attributes, added(`<nvpair id="x" name="nfs_state_dir" value="/home/nfs/var/lib/nfs"/>`), nil, nil},
	{"versions in another order", attributes, added(`<nvpair id="x" name="nfs_versions" value="4.2,4.1 3"/>`), nil, nil},
	{"time spelled differently", attributes, added(`<nvpair id="x" name="lease_time" value="30"/>`), nil, nil},
	{"mount options", attributes, added(`<nvpair id="x" name="mount_options" value="noatime"/>`), nil, []string{
		"change primitive nfs: mount_options noatime → none" + restarts,
	}},
	{"other scope", attributes, added(`<nvpair id="x" name="server_scope" value="y"/>`), nil, []string{
		"change primitive nfs: server_scope y → res0" + restarts,
	}},
	{"exports on lines", attributes + "/nvpair[@name='exports']", set("value", "\n /home/nfs/user-data\t192.168.2.0/24(rw,sync,no_root_squash)\n"), nil, nil},
	{"block for some nodes first", primitive, func(el *etree.Element) {
		block := etree.NewElement("instance_attributes")
		block.CreateAttr("id", "some")
		added(`<rule id="r" score="1"><expression id="e" attribute="#uname" operation="eq" value="drbdtest2"/></rule>`)(block)
		added(`<nvpair id="n" name="nfs_threads" value="4"/>`)(block)
		el.InsertChildAt(0, block)
	}, nil, nil},
	{"other option", primitive + "/meta_attributes", added(`<nvpair id="x" name="target-role" value="Started"/>`), nil, nil},
	{"stickiness at the clone", clone, func(el *etree.Element) {
		drop(el.FindElement("primitive/meta_attributes/nvpair[@name='resource-stickiness']"))
		added(`<nvpair id="x" name="resource-stickiness" value="7"/>`)(el.SelectElement("meta_attributes"))
	}, nil, []string{"change clone nfs-clone: resource-stickiness 7 → 200"}},
	{"two promoted", clone + "/meta_attributes", added(`<nvpair id="x" name="master-max" value="2"/>`), nil, []string{"change clone nfs-clone: promoted-max 2 → 1"}},
	{"own fence delay", "//cluster_property_set", added(`<nvpair id="x" name="priority-fencing-delay" value="1min"/>`), func(c *config.Config) {
		fenced(c)
		c.Fencing.Devices = nil
	}, []string{
		"change property stonith-enabled: false → true",
		"change property no-quorum-policy: ignore → stop",
		"drift property priority-fencing-delay: is 1min, the configuration has 15s: pcs property set priority-fencing-delay=15s",
		"change clone nfs-clone: priority none → 10",
		"change operation stop of nfs: on-fail none → fence",
	}},
	{
		"own preference", "//constraints", added(`<rsc_location id="mine" rsc="nfs-clone"><rule id="mr" role="Master" score="50"><expression id="me" attribute="#uname" operation="eq" value="drbdtest1"/></rule></rsc_location>`),
		func(c *config.Config) { c.Pacemaker.Preferred = "drbdtest1" }, nil,
	},
	{
		"preference of before", "//constraints", added(`<rsc_location id="nfs-preferred" rsc="nfs-clone"><rule id="nfs-preferred-rule" role="Master" score="50"><expression id="me" attribute="#uname" operation="eq" value="drbdtest1"/></rule></rsc_location>`),
		nil,
		[]string{"drop location nfs-preferred: no longer in the configuration"},
	},
	{
		"preference for another", "//constraints", added(`<rsc_location id="nfs-preferred" rsc="nfs-clone"><rule id="nfs-preferred-rule" role="Master" score="50"><expression id="me" attribute="#uname" operation="eq" value="drbdtest1"/></rule></rsc_location>`),
		func(c *config.Config) { c.Pacemaker.Preferred = "drbdtest2" },
		[]string{"change location nfs-preferred: nfs-clone is Promoted on drbdtest2 when all else is equal"},
	},
}

// Ensure that what somebody has set survives where it does no harm, is raised or
// put right where the group needs it, and is reported where it is their choice.
func TestMergeSomebodysValues(t *testing.T) {
	for _, tt := range valuesOfSomebody {
		t.Run(tt.name, func(t *testing.T) {
			doc := load(t, "pcs-0.11.xml")
			edit(t, doc, tt.path, tt.change)
			c := example()
			if tt.config != nil {
				tt.config(c)
			}
			out, changes := merge(t, doc, c)
			if diff := cmp.Diff(tt.want, lines(changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			checkForeign(t, doc, out)
			if el := doc.FindElement("//*[@id='x']"); el != nil && len(tt.want) == 0 && out.FindElement("//nvpair[@id='x']") == nil {
				t.Error("what somebody added is gone")
			}
		})
	}
}

// Ensure that roles are written in the words that the schema has.
func TestRoleWords(t *testing.T) {
	c := with(func(c *config.Config) { c.Pacemaker.Preferred = "drbdtest1" })
	for schema, want := range map[string][]string{
		"pacemaker-3.5": {"Master", "Slave"}, "pacemaker-3.7": {"Promoted", "Unpromoted"}, "pacemaker-3.10": {"Promoted", "Unpromoted"},
		"pacemaker-4.0": {"Promoted", "Unpromoted"}, "pacemaker-2.10": {"Master", "Slave"}, "none": {"Master", "Slave"},
	} {
		doc := load(t, "empty-debian-2.1.5.xml")
		doc.Root().CreateAttr("validate-with", schema)
		out, _ := merge(t, doc, c)
		var got []string
		for _, el := range out.FindElements("//*[@role]") {
			if role := el.SelectAttrValue("role", ""); !slices.Contains(got, role) {
				got = append(got, role)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", schema, diff)
		}
	}
}

// Ensure that fence devices, levels and the alert follow the configuration, that
// their parameters are never reported, and that devices of others stay.
func TestMergeDevices(t *testing.T) {
	before, _ := merge(t, load(t, "foreign.xml"), with(levels, everything))
	c := with(fenced)
	c.Fencing.Devices = c.Fencing.Devices[:1]
	c.Fencing.Devices[0].Parameters["password"] = "other-secret"
	c.Fencing.Devices[0].Targets = []string{"drbdtest1", "drbdtest2"}
	after, changes := merge(t, before, c)
	got := strings.Join(lines(changes), "\n")
	for _, want := range []string{
		"change fence device drbdnfs-ipmi1: password (not shown)",
		"change fence device drbdnfs-ipmi1: pcmk_host_list drbdtest1 → drbdtest1 drbdtest2",
		"drop location drbdnfs-ipmi2-not-on-drbdtest2", "drop location drbdnfs-ipmi1-not-on-drbdtest1", "drop location nfs-preferred",
		"drop fencing level drbdnfs-level-drbdtest1-1", "drop fence device drbdnfs-ipmi2", "drop fence device drbdnfs-pdu", "drop alert",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("changes lack %q", want)
		}
	}
	if strings.Contains(got, "secret") {
		t.Errorf("a secret is in\n%s", got)
	}
	if after.FindElement("//primitive[@id='manual']") == nil || after.FindElement("//fencing-level[@id='manual-1']") == nil {
		t.Error("the device of somebody else is gone")
	}
	checkForeign(t, load(t, "foreign.xml"), after)
}

// Ensure that a device that somebody made under the configured name is taken
// over, and one that a level of somebody else names stays.
func TestMergeTheirDevices(t *testing.T) {
	doc := load(t, "empty-el8-2.1.7.xml")
	edit(t, doc, "//resources", added(`<primitive id="ipmi1" class="stonith" type="fence_ipmilan"><operations><op id="m" name="monitor" interval="9s"/></operations></primitive>`))
	edit(t, doc, "//configuration", added(`<fencing-topology><fencing-level id="l" target="x" index="1" devices="drbdnfs-old,ipmi1"/></fencing-topology>`))
	edit(t, doc, "//resources", added(`<primitive id="drbdnfs-old" class="stonith" type="fence_ipmilan"/>`))
	out, changes := merge(t, doc, with(fenced))
	if n := len(out.FindElements("//primitive[@class='stonith']")); n != 3 {
		t.Errorf("%d devices, want 3", n)
	}
	if !slices.Contains(lines(changes), "drift fence device drbdnfs-old: no longer in the configuration, but l names it") {
		t.Errorf("changes %q", lines(changes))
	}
}

// Ensure that a CIB in which the name is taken is refused with what to do.
func TestMergeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		path   string
		change func(el *etree.Element)
		config func(c *config.Config)
		want   string
	}{
		{"another agent", "//primitive[@id='nfs']", set("type", "nfsserver"), nil, `"nfs" in the CIB is ocf:spacei:nfsserver, not ocf:spacei:drbdnfs: set pacemaker.group`},
		{"a template", "//primitive[@id='nfs']", set("template", "t"), nil, "made from the template t"},
		{"another name", "//primitive[@id='nfs']", set("id", "files"), nil, `belongs to the resource "files" in the CIB already: set pacemaker.group = "files"`},
		{"another DRBD resource", "//nvpair[@name='drbd_resource']", set("value", "res1"), nil, `is for the DRBD resource "res1", the configuration has "res0"`},
		{"in a group", "//primitive[@id='nfs']", func(el *etree.Element) { el.Parent().Tag = "group" }, nil, "pcs resource promotable nfs"},
		{"the name of a constraint", "//clone", func(el *etree.Element) {
			added(`<rsc_location id="nfs-clone" rsc="x"/>`)(el.Parent())
			drop(el)
		}, nil, `the id "nfs-clone" is taken`},
		{"not a device", "//resources", added(`<primitive id="ipmi1" class="ocf" provider="heartbeat" type="Dummy"/>`), fenced, "pcs stonith delete ipmi1"},
		{"no configuration", "//configuration", drop, nil, "not a CIB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := load(t, "pcs-0.11.xml")
			edit(t, doc, tt.path, tt.change)
			c := example()
			if tt.config != nil {
				tt.config(c)
			}
			if _, _, err := cib.Merge(doc, c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
	}
}

// Ensure that Parse refuses what is no CIB.
func TestParse(t *testing.T) {
	for _, text := range []string{"", "x", "<cib>", "<cib/>", "<a><configuration/></a>", "<cib><configuration/></cib><b/>"} {
		if _, err := cib.Parse([]byte(text)); err == nil {
			t.Errorf("%q is no CIB", text)
		}
	}
}

// Ensure that service addresses are found that the group in the CIB does not
// have yet.
func TestAddedVIPs(t *testing.T) {
	doc := load(t, "pcs-0.11.xml")
	c := with(everything)
	c.VIPs = []config.VIP{{Address: "192.168.2.63/24"}, {Address: "fd00::63/64", Interface: "ens4"}}
	if diff := cmp.Diff([]int{1}, cib.AddedVIPs(doc, c)); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	out, _ := merge(t, doc, c)
	if got := cib.AddedVIPs(out, c); len(got) > 0 {
		t.Errorf("added after the merge: %v", got)
	}
	if diff := cmp.Diff([]int{0, 1}, cib.AddedVIPs(load(t, "foreign.xml"), c)); diff != "" {
		t.Errorf("added without a group (-want +got):\n%s", diff)
	}
}

// Ensure that directories are found that the group in the CIB does not export
// yet, also those with spaces.
func TestAddedExports(t *testing.T) {
	doc := load(t, "pcs-0.11.xml")
	c := with(everything)
	if diff := cmp.Diff([]string{"/home/nfs/more data"}, cib.AddedExports(doc, c)); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	out, _ := merge(t, doc, c)
	if got := cib.AddedExports(out, c); len(got) > 0 {
		t.Errorf("added after the merge: %q", got)
	}
	if got := cib.AddedExports(load(t, "foreign.xml"), c); len(got) > 0 {
		t.Errorf("added without a group: %q", got)
	}
}
