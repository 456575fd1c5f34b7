package host_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// systemd is the part of it that answers on its private socket: jobs of units.
type systemd struct {
	t  *testing.T
	mu sync.Mutex

	conns  []net.Conn
	jobs   int
	loaded map[string]bool
	failed map[string]bool // units that are loaded as failed

	result map[string]string // by unit: how its jobs end; default "done"
	hang   map[string]bool   // jobs of the unit never end
	refuse string            // name of the error that every call gets
	calls  []string          // method and unit
	execs  []string          // ExecStart of transient units
}

// newSystemd listens where the real one does, which only is possible in a
// namespace of the test's own.
func newSystemd(t *testing.T) *systemd {
	t.Helper()
	s := &systemd{t: t, loaded: map[string]bool{}, failed: map[string]bool{}, result: map[string]string{}, hang: map[string]bool{}}
	mountOver(t, "/run", "")
	if err := os.Mkdir("/run/systemd", 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", "/run/systemd/private")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

// serve authenticates one connection and answers its calls.
func (s *systemd) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer := map[string]string{"AUTH": "REJECTED EXTERNAL", "DATA": "OK 0123456789abcdef", "NEGOTIATE_UNIX_FD": "ERROR"}
		words := strings.Fields(strings.Trim(line, "\x00\r\n"))
		if words[0] == "BEGIN" {
			break
		}
		if words[0] == "AUTH" && len(words) > 1 {
			answer["AUTH"] = "DATA"
		}
		fmt.Fprintf(conn, "%s\r\n", answer[words[0]])
	}
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		s.handle(conn, call)
	}
}

func (s *systemd) handle(conn net.Conn, call *dbus.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
	}}
	member, _ := call.Headers[dbus.FieldMember].Value().(string)
	if member == "AddMatch" { // all signals go to everybody here
		s.send(conn, reply)
		return
	}
	unit := call.Body[0].(string)
	s.calls = append(s.calls, member+" "+unit)
	job, name := s.do(member, unit, call.Body)
	switch {
	case name != "":
		reply.Type = dbus.TypeError
		reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.systemd1." + name)
		setBody(reply, "Unit "+unit+": "+name)
	case job != "":
		setBody(reply, job)
	}
	s.send(conn, reply)
	if job != "" && !s.hang[unit] {
		s.finish(job, unit)
	}
}

// do is one call; it returns the path of the job, or the name of an error.
func (s *systemd) do(member, unit string, args []any) (job dbus.ObjectPath, name string) {
	if s.refuse != "" {
		return "", s.refuse
	}
	result := s.result[unit]
	// With another mode a job waits for Pacemaker's own stop, which waits for it.
	if mode := fmt.Sprint(args[min(1, len(args)-1)]); (member == "StartTransientUnit" || member == "StopUnit") && mode != "ignore-dependencies" {
		return "", "DeadlockWithPacemaker"
	}
	switch member {
	case "StartTransientUnit":
		if s.loaded[unit] || s.failed[unit] {
			return "", "UnitExists"
		}
		s.execs = append(s.execs, fmt.Sprint(args[2]))
		s.loaded[unit] = result == "" || result == "done"
	case "StartUnit":
		s.loaded[unit] = result == "" || result == "done"
	case "StopUnit":
		if !s.loaded[unit] && !s.failed[unit] {
			return "", "NoSuchUnit"
		}
		s.loaded[unit] = false
	case "ResetFailedUnit":
		if !s.failed[unit] {
			return "", "NoSuchUnit"
		}
		delete(s.failed, unit)
		return "", ""
	}
	s.jobs++
	return dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", s.jobs)), ""
}

// finish tells all connections how a job has ended.
func (s *systemd) finish(job dbus.ObjectPath, unit string) {
	result := s.result[unit]
	if result == "" {
		result = "done"
	}
	signal := &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
		dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
	}}
	setBody(signal, uint32(s.jobs), job, unit, result)
	for _, conn := range slices.Clone(s.conns) {
		s.send(conn, signal)
	}
}

func setBody(m *dbus.Message, body ...any) {
	m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	m.Body = body
}

func (s *systemd) send(conn net.Conn, m *dbus.Message) {
	if err := m.EncodeTo(conn, binary.LittleEndian); err != nil {
		s.conns = slices.DeleteFunc(s.conns, func(c net.Conn) bool { return c == conn })
	}
}

// with runs fn while nothing is answered.
func (s *systemd) with(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// called returns the calls since the last time.
func (s *systemd) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}
