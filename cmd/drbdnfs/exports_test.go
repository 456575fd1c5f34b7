package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/exports"
)

// served is a node that serves one client by two protocols.
func served() exports.Report {
	twelve := 12
	return exports.Report{
		Node: "drbdtest1", Serving: true, Active: []string{"drbdtest1"},
		Exports: []exports.Export{{
			Path: "/home/nfs/user-data", Client: "192.168.2.0/24", Options: []string{"rw", "sync"}, FSID: "f2adfaf0", State: exports.Offered, Asked: true,
		}},
		Clients: []exports.Client{
			{Address: "192.168.2.64", Version: "3", Connections: 1, Mounted: []string{"/home/nfs/user-data"}},
			{Address: "192.168.2.64", Name: "Linux NFSv4.2 client", Version: "4.2", RenewedAgo: &twelve, Connections: 1, Mounted: []string{}, Opens: 2, Locks: 1},
		},
		Locks: []exports.Lock{
			{Client: "192.168.2.64", Version: "4.2", Kind: "lock", File: "user-data/a"},
			{Version: "3", Kind: "lock", Access: "write", File: "inode 131", Range: "0-EOF"},
		},
		Unknown: []string{"which client holds an NFSv3 lock: the kernel does not tell"},
	}
}

// Ensure that a person sees who serves what to whom, on the active and on the
// passive node, and that an export that is not as configured is the exit status.
func TestShowExports(t *testing.T) {
	passive := exports.Report{
		Node: "drbdtest2", Active: []string{"drbdtest1"},
		Exports: []exports.Export{{Path: "/home/nfs/a", Client: "*", Options: []string{"ro"}, FSID: "7", State: exports.NotApplied, Detail: "in the file alone: drbdnfs setup apply offers it"}},
	}
	for _, tt := range []struct {
		name           string
		r              exports.Report
		clients, locks bool
		code           int
		want           string
	}{
		{"all", served(), false, false, 0, `drbdtest1 serves
EXPORT               CLIENTS         STATE    OPTIONS  FSID
/home/nfs/user-data  192.168.2.0/24  offered  rw,sync  f2adfaf0

2 clients
CLIENT        NFS  CONNECTIONS  OPEN  LOCKED  DELEGATED  SEEN      WHAT
192.168.2.64  3              1  -     -       -          -         /home/nfs/user-data
192.168.2.64  4.2            1  2     1       0          12 s ago  Linux NFSv4.2 client

not known:
  which client holds an NFSv3 lock: the kernel does not tell
`},
		{"locks", served(), false, true, 0, `
2 states
CLIENT        NFS  KIND  ACCESS  DENY  RANGE  FILE
192.168.2.64  4.2  lock  -       -     -      user-data/a
-             3    lock  write   -     0-EOF  inode 131

not known:
  which client holds an NFSv3 lock: the kernel does not tell
`},
		{"passive", passive, false, false, exportsDiffer, `drbdtest2 does not serve, drbdtest1 does; this is what the configuration says (clients and locks: run drbdnfs exports there)
EXPORT       CLIENTS  STATE        OPTIONS  FSID
/home/nfs/a  *        not-applied  ro       7
! /home/nfs/a for *: in the file alone: drbdnfs setup apply offers it
`},
		{"passive clients", passive, true, false, 0, `drbdtest2 does not serve, drbdtest1 does; this is what the configuration says (clients and locks: run drbdnfs exports there)
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := showExports(console{out: &out}, tt.r, false, tt.clients, tt.locks)
			var exit cli.ExitCoder
			if code := 0; errors.As(err, &exit) && exit.ExitCode() != tt.code || err == nil && tt.code != code {
				t.Errorf("ended with %v, want exit status %d", err, tt.code)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
