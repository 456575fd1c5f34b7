package check

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Ensure that constraints, fence devices and counts are taken from the CIB
// wherever they may be in it.
func TestParseCIB(t *testing.T) {
	doc, err := cib.Parse([]byte(`<cib><configuration><constraints><rsc_location id="cli-ban-x"/><rsc_order id="o"/></constraints>
<resources><primitive id="ipmi1" class="stonith"><meta_attributes><nvpair name="target-role" value="stopped"/></meta_attributes></primitive>
<clone><primitive id="sbd" class="stonith"/><primitive id="nfs" class="ocf"/></clone></resources></configuration>
<status><node_state uname="n2"><transient_attributes><instance_attributes>
<nvpair name="fail-count-nfs#monitor_10000" value="2"/><nvpair name="fail-count-nfs#start_0" value="INFINITY"/>
<nvpair name="fail-count-old" value="1000000"/><nvpair name="fail-count-zero" value="0"/><nvpair name="last-failure-nfs" value="9"/>
</instance_attributes></transient_attributes></node_state></status></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	want := &CIB{
		Constraints: []string{"cli-ban-x", "o"}, Fence: map[string]bool{"ipmi1": true, "sbd": false},
		FailCounts: []FailCount{{"n2", "nfs", "monitor_10000", 2}, {"n2", "nfs", "start", -1}, {"n2", "old", "", -1}},
	}
	if diff := cmp.Diff(want, parseCIB(doc)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that tries to fence are read from each place where a version has them,
// and that no answer is not taken for no try.
func TestParseHistory(t *testing.T) {
	const event = `<fence_event status="failed" exit-reason="no&#10;route" delegate="n1" action="reboot" target="n2" client="c" origin="n1" completed="2026-11-23 14:00:00Z"/>`
	want := []FenceEvent{{"n2", "reboot", "failed", "2026-11-23 14:00:00Z", "no; route"}}
	for _, tt := range []struct {
		name, text string
		want       []FenceEvent
		bad        bool
	}{
		{"a list", `<pacemaker-result><list name="Fencing history" count="1">` + event + `</list></pacemaker-result>`, want, false},
		{"as crm_mon has it", `<pacemaker-result><fence_history>` + event + `</fence_history></pacemaker-result>`, want, false},
		{"none", `<pacemaker-result><status code="0"/></pacemaker-result>`, nil, false},
		{"nothing", "", nil, true},
		{"something else", "<html/>", nil, true},
		{"cut off", "<pacemaker-result><list>", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseHistory(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.bad {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Ensure that a link that is down is seen in the words of each version of
// corosync, and named.
func TestParseLinks(t *testing.T) {
	names := map[string]string{"2": "drbdtest2"}
	for _, tt := range []struct {
		name, text string
		want       []string
		bad        bool
	}{
		{"3.1, well", "Local node ID 1, transport knet\nLINK ID 0 udp\n\taddr\t= 192.168.2.61\n\tstatus:\n\t\tnodeid:          1:\tlocalhost\n\t\tnodeid:          2:\tconnected\n", nil, false},
		{"3.1, down", "LINK ID 0 udp\n\tstatus:\n\t\tnodeid:          2:\tconnected\nLINK ID 1 udp\n\tstatus:\n\t\tnodeid:          2:\tdisconnected\n\t\tnodeid:          3:\tdisconnected\n", []string{"link 1 to drbdtest2", "link 1 to node id 3"}, false},
		{"3.0, well", "Printing link status.\nLINK ID 0\n\tstatus:\n\t\tnodeid  1:\tlink enabled:1\tlink connected:1\n\t\tnodeid  2:\tlink enabled:1\tlink connected:1\n", nil, false},
		{"3.0, down", "LINK ID 0\n\tstatus:\n\t\tnodeid  2:\tlink enabled:1\tlink connected:0\n", []string{"link 0 to drbdtest2"}, false},
		{"2, well", "Printing ring status.\nLocal node ID 1\nRING ID 0\n\tid\t= 192.168.2.61\n\tstatus\t= ring 0 active with no faults\n", nil, false},
		{"2, down", "RING ID 0\n\tstatus\t= Marking ringid 0 interface 192.168.2.61 FAULTY\n", []string{"link 0: status = Marking ringid 0 interface 192.168.2.61 FAULTY"}, false},
		{"nothing", "", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseLinks(tt.text, names)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.bad {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Ensure that options are read as both generations of drbdsetup print them, with
// a value for each place that has another one.
func TestParseOptions(t *testing.T) {
	got, err := parseOptions(`resource "res0" {
    options {
        auto-promote    	no;
    }
    _this_host {
        volume 0 {
            device			minor 1000;
            disk			"/dev/drbdpool/res0_00000";
            disk {
                disk-flushes    	yes; # default
            }
        }
    }
    connection {
        net {
            protocol        	C; # default
        }
    }
    connection {
        net {
            protocol        	A;
        }
    }
}
`)
	if err != nil {
		t.Fatal(err)
	}
	delete(got, "disk")
	want := map[string][]string{"auto-promote": {"no"}, "disk-flushes": {"yes"}, "protocol": {"C", "A"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := parseOptions("res0\n"); err == nil {
		t.Error("nothing is taken for no options")
	}
	dump := "    handlers {\n        split-brain      \"/usr/lib/drbdnfs/drbdnfs-handler split-brain\";\n    }\n"
	if got := parseHandler(dump, "split-brain"); got != "/usr/lib/drbdnfs/drbdnfs-handler split-brain" {
		t.Errorf("handler %q", got)
	}
	if got := parseHandler(dump, "fence-peer"); got != "" {
		t.Errorf("a handler that is not there: %q", got)
	}
}

// Ensure that df's numbers are read, and nothing else.
func TestParseSpace(t *testing.T) {
	got, err := parseSpace("    1B-blocks        Avail   Inodes    IFree\n1063256064 1055092736   524288   524285\n")
	if want := (Volume{1063256064, 1055092736, 524288, 524285}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{"", "a b c d\n1 2 3\n", "a b c d\n1 2 3 -\n"} {
		if _, err := parseSpace(text); err == nil {
			t.Errorf("%q is taken for df's", text)
		}
	}
}

// Ensure that only units of the group's are reported, with or without the mark
// that systemd puts before them.
func TestParseFailed(t *testing.T) {
	got := parseFailed("● rpcbind.service  loaded failed failed RPC Bind\ncorosync.service not-found failed failed x\nfoo.service loaded failed failed y\n\n")
	if diff := cmp.Diff([]string{"rpcbind.service", "corosync.service"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that a denial of the group's is told once, and one of others not.
func TestParseDenials(t *testing.T) {
	const mine = `type=AVC msg=audit(1700000000.1:2): avc:  denied  { read write } for  pid=7 comm="rpc.statd" name="state" dev="dm-0" ino=5 scontext=system_u:system_r:rpcd_t:s0 tcontext=system_u:object_r:unlabeled_t:s0 tclass=file permissive=0` + "\n"
	const other = `type=AVC msg=audit(1700000000.1:3): avc:  denied  { open } for  pid=8 comm="httpd" path="/srv/x" scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:var_t:s0 tclass=file permissive=0` + "\n"
	got := parseDenials("----\n" + mine + other + mine)
	if diff := cmp.Diff([]string{"rpc.statd may not read write file state"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that the other clock is read from ping's time stamps, over midnight
// too, and that what is cut short or comes from elsewhere is not believed.
func TestParseClock(t *testing.T) {
	stamps := func(own, there, turn, back string) string {
		return "64 bytes from 192.168.2.62: icmp_seq=1 ttl=64 time=0.112 ms\nTS: \t192.168.2.61\t" + own + " absolute\n\t192.168.2.62\t" + there +
			"\n\t192.168.2.62\t" + turn + "\n\t192.168.2.61\t" + back + "\n\n\n--- statistics\n"
	}
	for _, tt := range []struct {
		name, text string
		want       Clock
	}{
		{"equal", stamps("73540123", "0", "0", "0"), Clock{Known: true}},
		{"equal, far away", stamps("73540123", "20", "0", "20"), Clock{Known: true}},
		{"ahead", stamps("73540123", "2001", "0", "-1999"), Clock{true, 2 * time.Second}},
		{"behind", stamps("73540123", "-2999", "0", "3001"), Clock{true, -3 * time.Second}},
		{"midnight", stamps("86399900", "-86399900", "0", "86399902"), Clock{true, 99 * time.Millisecond}},
		{"no option in the answer", "64 bytes from 192.168.2.62: icmp_seq=1 ttl=64 time=0.112 ms\n", Clock{}},
		{"cut short", "TS: \t192.168.2.61\t73540123 absolute\n\t192.168.2.62\t3\n", Clock{}},
		{"by way of a router", strings.Replace(stamps("73540123", "3", "0", "0"), "192.168.2.62\t3", "192.168.2.1\t3", 1), Clock{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseClock(tt.text, "192.168.2.62"); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// Ensure that the portmapper's list is read without its head.
func TestParsePorts(t *testing.T) {
	got := parsePorts("   program vers proto   port  service\n    100005    1   udp  32773  mountd\n    100005    3   udp  32773  mountd\n    100021    4   tcp  32774  nlockmgr\n")
	if diff := cmp.Diff([]Port{{100005, "udp", 32773}, {100021, "tcp", 32774}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that versions that do not work together are told, and those that do are
// not.
func TestMisfit(t *testing.T) {
	for _, tt := range []struct {
		name          string
		kernel, utils drbd.Version
		want          string
	}{
		{"9 with 9.27", drbd.Version{Major: 9, Minor: 1}, drbd.Version{Major: 9, Minor: 27}, ""},
		{"8.4 with 9.22", drbd.Version{Major: 8, Minor: 4}, drbd.Version{Major: 9, Minor: 22}, ""},
		{"9 with 8.9", drbd.Version{Major: 9, Minor: 1}, drbd.Version{Major: 8, Minor: 9}, "cannot run"},
		{"9 with 9.15", drbd.Version{Major: 9, Minor: 1}, drbd.Version{Major: 9, Minor: 15}, "older than 9.16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := misfit(tt.kernel, tt.utils); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
