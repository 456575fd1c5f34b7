package handler

import (
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/notice"
)

// The kernel's names have at most 127 bytes; a path or an address of more is
// cut. Lists hold more entries only with more volumes than that.
const (
	maxText = 127
	maxList = 16
)

// helper reads what the kernel and drbdadm tell a handler in its environment.
// What is missing or malformed is empty. DRBD 8.4 names the peer itself
// (DRBD_PEER); with 9 it is the one with the node id that the kernel gives.
func helper(name string, environ []string) *notice.Helper {
	env := map[string]string{}
	for _, kv := range environ {
		if key, value, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(key, "DRBD_") {
			env[key] = value
		}
	}
	h := &notice.Helper{
		Name: name, Resource: text(env["DRBD_RESOURCE"]),
		Volumes: numbers(env["DRBD_VOLUME"]), Minors: numbers(env["DRBD_MINOR"]),
		Peer: env["DRBD_PEER"], PeerNodeID: -1,
		Connection: text(env["DRBD_CSTATE"]), Backing: env["DRBD_BACKING_DEV"],
	}
	if id, err := strconv.Atoi(env["DRBD_PEER_NODE_ID"]); err == nil && id >= 0 {
		h.PeerNodeID = id
		if h.Peer == "" {
			h.Peer = env["DRBD_NODE_ID_"+strconv.Itoa(id)]
		}
	}
	if h.Peer == "" {
		h.Peer = env["DRBD_PEERS"]
	}
	h.Peer, _, _ = strings.Cut(text(strings.TrimSpace(h.Peer)), " ") // "on A B { … }" makes a list of one host's names
	if h.Backing == "" {
		h.Backing = env["DRBD_LL_DISK"] // drbdadm's word for it, from the configuration
	}
	h.Backing = text(h.Backing)
	if addr := env["DRBD_PEER_ADDRESS"]; addr != "" {
		h.PeerAddr = text(env["DRBD_PEER_AF"] + ":" + addr)
	}
	return h
}

// text returns s without what a terminal or a log would trip over, and not
// longer than what a notice has room for.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// numbers reads a list of numbers such as "0 1".
func numbers(s string) []int {
	var list []int
	for f := range strings.FieldsSeq(s) {
		if n, err := strconv.Atoi(f); err == nil && n >= 0 && len(list) < maxList {
			list = append(list, n)
		}
	}
	return list
}
