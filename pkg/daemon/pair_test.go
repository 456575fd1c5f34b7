package daemon

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

const (
	resource = "res0"
	minor    = 1000
	mib      = 1 << 20
)

// pair is DRBD on two nodes: one resource of one volume, with what a split brain
// is made of. It prints and refuses as the tools do.
type pair struct {
	mu       sync.Mutex
	kernel84 bool
	cut      bool   // no network between the two
	uuid     uint64 // the last one given out
	sides    [2]*side
}

// side is what one node's kernel has.
type side struct {
	pair            *pair
	name            string
	id              int // node id, which the peer knows it by on DRBD 9
	up              bool
	role, disk      string
	conn, repl      string
	current, bitmap uint64
	changed         int64 // bytes that the peer does not have
	discard         bool  // the order of --discard-my-data, until a handshake
	gone            bool  // the connection was removed from the kernel
	overwritten     []uint64
	emit            func(line string)
}

func newPair(kernel84 bool) *pair {
	p := &pair{kernel84: kernel84, uuid: 0xB8602D562BDDA7F6}
	for i, name := range []string{"drbdtest1", "drbdtest2"} {
		p.sides[i] = &side{
			pair: p, name: name, id: i, up: true, role: "Secondary", disk: "UpToDate", conn: "Connected", repl: "Established",
			current: p.uuid, emit: func(string) {},
		}
	}
	return p
}

func (s *side) peer() *side { return s.pair.sides[1-s.id] }

// link is how lines name the connection.
func (s *side) link() string {
	if s.pair.kernel84 {
		return "name:res0 peer-node-id:0 conn-name:peer"
	}
	return fmt.Sprintf("name:res0 peer-node-id:%d conn-name:%s", s.peer().id, s.peer().name)
}

// shown reports whether events show the connection.
func (s *side) shown() bool { return !s.gone && (!s.pair.kernel84 || s.conn != "StandAlone") }

func (s *side) peerRole() string {
	if s.conn == "Connected" {
		return s.peer().role
	}
	return "Unknown"
}

func (s *side) peerDisk() string {
	if s.repl != "Off" {
		return s.peer().disk
	}
	return "DUnknown"
}

// dump is "drbdsetup events2 --now --statistics".
func (s *side) dump() string {
	if !s.up {
		return "exists -\n"
	}
	var b strings.Builder
	score, client, backing, quorum := " may_promote:no promotion_score:10101", " client:no", " backing_dev:/dev/drbdpool/res0_00000", " quorum:yes"
	if s.pair.kernel84 {
		score, client, backing, quorum = "", "", "", ""
	}
	fmt.Fprintf(&b, "exists resource name:res0 role:%s suspended:no%s\n", s.role, score)
	if s.shown() {
		fmt.Fprintf(&b, "exists connection %s connection:%s role:%s\n", s.link(), s.conn, s.peerRole())
	}
	fmt.Fprintf(&b, "exists device name:res0 volume:0 minor:%d%s disk:%s%s%s size:1048508\n", minor, backing, s.disk, client, quorum)
	if s.shown() {
		fmt.Fprintf(&b, "exists peer-device %s volume:0 replication:%s peer-disk:%s%s resync-suspended:no out-of-sync:%d\n",
			s.link(), s.repl, s.peerDisk(), strings.ReplaceAll(client, " client", " peer-client"), s.changed/1024)
	}
	b.WriteString("exists -\n")
	return b.String()
}

// proc is /proc/drbd, of which DRBD 8.4's has what is out of sync.
func (s *side) proc() string {
	if !s.pair.kernel84 {
		return "version: 9.1.23 (api:2/proto:86-121)\nTransports (api:18): tcp (9.1.23)\n"
	}
	return fmt.Sprintf("version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B\n"+
		"%d: cs:%s ro:%s/Unknown ds:%s/DUnknown C r-----\n    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:%d\n",
		minor, s.conn, s.role, s.disk, s.changed/1024)
}

// gi is "drbdsetup get-gi".
func (s *side) gi() string {
	flags := ":1:1:0:0:0:0:0:0:0:0:0:1"
	if s.pair.kernel84 {
		flags = ":1:1:0:0:0:0:0"
	}
	return fmt.Sprintf("%016X:%016X:%016X:%016X%s\n", s.current, s.bitmap, 0, 0, flags)
}

// setRole is a promotion or a demotion.
func (s *side) setRole(role string) {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	if s.role != role {
		s.role = role
		s.emit("change resource name:res0 role:" + role)
	}
	if role == "Primary" {
		s.discard = false
	}
}

// write is n bytes written without the peer. The first ones begin a generation.
func (s *side) write(n int64) {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	if s.bitmap == 0 {
		s.pair.uuid += 0x1111111111111111 &^ 1
		s.bitmap, s.current = s.current, s.pair.uuid
	}
	s.changed += n
}

// lose is the end of what the two exchange.
func (s *side) lose(conn string) {
	s.conn, s.repl = conn, "Off"
	if s.gone {
		return
	}
	s.emit(fmt.Sprintf("change peer-device %s volume:0 replication:Off peer-disk:DUnknown", s.link()))
	s.emit(fmt.Sprintf("change connection %s connection:%s role:Unknown", s.link(), conn))
	if s.pair.kernel84 && conn == "StandAlone" {
		s.emit(fmt.Sprintf("destroy peer-device %s volume:0", s.link()))
		s.emit("destroy connection " + s.link())
	}
}

// unplug cuts the network, or mends it.
func (p *pair) unplug(cut bool) {
	p.mu.Lock()
	p.cut = cut
	for _, s := range p.sides {
		if cut && s.conn == "Connected" {
			s.lose("Connecting")
		}
	}
	p.mu.Unlock()
	p.later()
}

// later is the two kernels trying to connect, a moment from now.
func (p *pair) later() {
	go func() {
		time.Sleep(50 * time.Millisecond)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.handshake()
	}()
}

// handshake is what drbd_sync_handshake does, as far as it matters here.
func (p *pair) handshake() {
	a, b := p.sides[0], p.sides[1]
	if p.cut || a.conn != "Connecting" || b.conn != "Connecting" || !a.up || !b.up {
		return
	}
	switch {
	case a.current == b.current:
	case b.bitmap == 0 || a.discard && !b.discard && a.role == "Secondary":
		if b.bitmap == 0 {
			a, b = b, a
		}
		p.sync(a, b)
	case a.bitmap == 0 || b.discard && !a.discard && b.role == "Secondary":
		p.sync(b, a)
	default:
		p.splitBrain()
		return
	}
	for _, s := range p.sides {
		s.conn, s.repl, s.discard = "Connected", "Established", false
		s.emit(fmt.Sprintf("change connection %s connection:Connected role:%s", s.link(), s.peer().role))
		s.emit(fmt.Sprintf("change peer-device %s volume:0 replication:Established peer-disk:UpToDate", s.link()))
	}
}

// sync overwrites target with what source has.
func (p *pair) sync(target, source *side) {
	if target.bitmap != 0 {
		target.overwritten = append(target.overwritten, target.current)
	}
	target.current, target.bitmap, target.changed = source.current, 0, 0
	source.bitmap, source.changed = 0, 0
}

func (p *pair) splitBrain() {
	for _, s := range p.sides {
		s.emit("change connection " + s.link() + " connection:Connected")
		for _, h := range []string{"initial-split-brain", "split-brain"} {
			s.emit(fmt.Sprintf("call helper %s volume:0 minor:%d helper:%s", s.link(), minor, h))
			s.emit(fmt.Sprintf("response helper %s volume:0 minor:%d helper:%s status:0", s.link(), minor, h))
		}
		s.emit("change connection " + s.link() + " connection:Disconnecting")
		s.lose("StandAlone")
	}
}

// drbdsetup is one run of it.
func (s *side) drbdsetup(c host.Cmd) (string, error) {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	gi := fmt.Sprintf("get-gi res0 %d 0", s.peer().id)
	if s.pair.kernel84 {
		gi = "get-gi " + strconv.Itoa(minor)
	}
	switch line := strings.Join(c.Args, " "); {
	case line == "events2 --now --statistics res0":
		return s.dump(), nil
	case line == gi && !s.gone && s.up:
		return s.gi(), nil
	case strings.HasPrefix(line, "get-gi"):
		return "", hosttest.Exit(c, 10, "res0: No such peer device")
	}
	return "", hosttest.Exit(c, 20, "drbdsetup: invalid command: "+strings.Join(c.Args, " "))
}

// drbdadm is one run of it.
func (s *side) drbdadm(c host.Cmd) (string, error) {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	target := "res0:" + s.peer().name
	if s.pair.kernel84 {
		target = resource
	}
	fail := func(code int, text string) (string, error) { return "", hosttest.Exit(c, code, text) }
	line := strings.Join(c.Args, " ")
	verb, is := strings.CutSuffix(line, " "+target)
	switch {
	case line == "sh-ll-dev res0/0":
		return "/dev/drbdpool/res0_00000\n", nil
	case !is:
		return fail(1, "'"+line+"' is not for this host")
	case s.gone && (verb == "disconnect" || strings.HasPrefix(verb, "connect") || verb == "del-peer"):
		return fail(10, "res0: Failure: (162) Invalid configuration request\nadditional info from kernel:\nunknown connection")
	}
	switch verb {
	case "disconnect":
		return s.disconnect(c)
	case "connect", "connect --discard-my-data":
		return s.connect(c, verb != "connect")
	case "del-peer":
		s.leave()
		s.emit(fmt.Sprintf("destroy peer-device %s volume:0", s.link()))
		s.emit("destroy connection " + s.link())
		s.gone, s.discard = true, false
		return "", nil
	case "new-peer":
		s.gone = false
		s.emit(fmt.Sprintf("create connection %s connection:StandAlone role:Unknown", s.link()))
		s.emit(fmt.Sprintf("create peer-device %s volume:0 replication:Off peer-disk:DUnknown peer-client:no", s.link()))
		return "", nil
	case "new-path":
		return "", nil
	}
	return fail(1, "drbdadm: Unknown command '"+verb+"'")
}

// leave is the end of the connection by this side.
func (s *side) leave() {
	if s.conn == "Connected" {
		s.peer().lose("Connecting")
	}
	s.lose("StandAlone")
}

func (s *side) disconnect(c host.Cmd) (string, error) {
	if s.conn == "StandAlone" {
		if s.pair.kernel84 {
			return "", hosttest.Exit(c, 10, "ipv4:192.168.2.61:7000_ipv4:192.168.2.62:7000: Failure: (162) Invalid configuration request\n"+
				"additional info from kernel:\nunknown connection")
		}
		return "", nil
	}
	s.leave()
	s.discard = s.discard && !s.pair.kernel84
	return "", nil
}

func (s *side) connect(c host.Cmd, discard bool) (string, error) {
	switch {
	case discard && s.role == "Primary":
		return "", hosttest.Exit(c, 10, "res0: Failure: (123) --discard-my-data not allowed when primary.")
	case s.conn != "StandAlone" && s.pair.kernel84:
		return "", hosttest.Exit(c, 10, "res0: Failure: (102) Local address(port) already in use.")
	case s.conn != "StandAlone":
		return "", hosttest.Exit(c, 10, "res0: Failure: (125) Device has a net-config (use disconnect first)")
	}
	s.conn, s.discard = "Connecting", s.discard || discard
	verb := "change"
	if s.pair.kernel84 {
		verb = "create"
	}
	s.emit(fmt.Sprintf("%s connection %s connection:Connecting role:Unknown", verb, s.link()))
	s.emit(fmt.Sprintf("%s peer-device %s volume:0 replication:Off peer-disk:DUnknown", verb, s.link()))
	s.pair.later()
	return "", nil
}

// hostCmd is a person's command.
var hostCmd = host.Cmd{Op: "by hand", Name: "drbdadm"}
