package linstor_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

var whole = []struct{ name, config string }{
	{"two-lvm", twoLVM},
	{"two-thin", twoThin},
	{"three-tie-breaker", tied},
}

// Ensure that an apply from nothing makes exactly the documented calls, in
// LINSTOR's order, and that the plan says so before.
func TestApplyFromNothing(t *testing.T) {
	for _, tt := range whole {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				s := stage(t, c, tt.config)
				golden(t, tt.name+".plan", look(t, s))
				c.calls = nil
				apply(t, s)
				golden(t, tt.name+".calls", strings.Join(c.calls, "\n")+"\n")
				if err := settled(look(t, s)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Ensure that a second apply makes no call that changes anything.
func TestApplyAgain(t *testing.T) {
	for _, tt := range whole {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				apply(t, stage(t, c, tt.config))
				c.calls = nil
				apply(t, stage(t, c, tt.config))
				if w := writes(c.calls); len(w) > 0 {
					t.Errorf("the second apply changed something: %q", w)
				}
			})
		})
	}
}

// cut is a transport that breaks the nth call, before LINSTOR has it or before
// its answer arrives.
type cut struct {
	transport
	n     *int
	after bool
}

func (c cut) RoundTrip(r *http.Request) (*http.Response, error) {
	*c.n--
	if *c.n != 0 {
		return c.transport.RoundTrip(r)
	}
	if c.after {
		if _, err := c.transport.RoundTrip(r); err != nil {
			return nil, err
		}
	}
	return nil, io.ErrUnexpectedEOF
}

// Ensure that a run that ends at any call, before or after LINSTOR has done it,
// is continued by the next, without making anything twice.
func TestApplyInterrupted(t *testing.T) {
	for _, tt := range whole {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				full := empty(t)
				apply(t, stage(t, full, tt.config))
				for n := 1; n <= len(full.calls); n++ {
					for _, after := range []bool{false, true} {
						interrupted(t, full, tt.config, n, after)
					}
				}
			})
		})
	}
}

func interrupted(t *testing.T, full *controller, text string, n int, after bool) {
	t.Helper()
	c := empty(t)
	left := n
	err := (&watcher{}).apply(t.Context(), through(t, cut{transport{c}, &left, after}, text))
	if left > 0 {
		t.Fatalf("call %d was never made", n)
	}
	if err == nil {
		t.Fatalf("call %d broke and nobody noticed", n)
	}
	apply(t, stage(t, c, text))
	if err := settled(look(t, stage(t, c, text))); err != nil {
		t.Errorf("after call %d (done: %v): %v", n, after, err)
	}
	if diff := cmp.Diff(full.rds["res0"].props, c.rds["res0"].props); diff != "" {
		t.Errorf("after call %d (done: %v): other properties (-want +got)\n%s", n, after, diff)
	}
	if got, want := placed(c), placed(full); got != want {
		t.Errorf("after call %d (done: %v): resources %s, want %s", n, after, got, want)
	}
}

func placed(c *controller) string {
	var out []string
	for _, r := range c.rds["res0"].resources {
		out = append(out, r.node+" "+r.state+" "+strings.Join(r.flags, ","))
	}
	return strings.Join(out, "; ")
}

// Ensure that each kind of changing call that LINSTOR refuses ends the run with
// its words, and that the run after that goes on.
func TestApplyRefusedByLINSTOR(t *testing.T) {
	for _, call := range []struct{ method, path, doing string }{
		{"POST", "/v1/nodes", "LINSTOR node drbdtest1: create node drbdtest1"},
		{"POST", "/v1/nodes/drbdtest2/storage-pools", "storage pool pool01 on drbdtest2: create storage pool pool01 on drbdtest2"},
		{"POST", "/v1/resource-groups", "resource group drbdnfs: create resource group drbdnfs"},
		{"POST", "/v1/resource-definitions", "resource definition res0: create resource definition res0"},
		{"PUT", "/v1/resource-definitions/res0", "DRBD options of resource definition res0: set DRBD options of resource definition res0"},
		{"POST", "/v1/resource-definitions/res0/volume-definitions", "volume definition 0 of res0: create volume definition 0 of res0"},
		{"POST", "/v1/resource-definitions/res0/resources/drbdtest2", "resource res0 on drbdtest2: create resource res0 on drbdtest2"},
		{"POST", "/v1/resource-definitions/res0/resources/drbdtest3", "resource res0 on drbdtest3: create resource res0 on drbdtest3"},
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				c.intercept = func(r *http.Request) *reply {
					if r.Method == call.method && r.URL.Path == call.path {
						no := failure(unknown, "Something went wrong", object{"cause": "a full disk", "error_report_ids": []string{"AB-0001"}})
						return &no
					}
					return nil
				}
				err := (&watcher{}).apply(t.Context(), stage(t, c, tied))
				want := "stage linstor: " + call.doing + ": Something went wrong; cause: a full disk; linstor error-reports show AB-0001"
				if err == nil || err.Error() != want {
					t.Fatalf("got %v\nwant %s", err, want)
				}
				c.intercept = nil
				apply(t, stage(t, c, tied))
			})
		})
	}
}

// Ensure that what somebody else makes between look and call is taken as it is
// when it is the same, and refused in words when it is not.
func TestMadeInBetween(t *testing.T) {
	for _, tt := range []struct {
		name, call string
		make       func(c *controller)
		err        string
	}{
		{"same node", "POST /v1/nodes", func(c *controller) {
			c.addNode("drbdtest1", "COMBINED", "192.168.2.61", "ONLINE")
		}, ""},
		{"node elsewhere", "POST /v1/nodes", func(c *controller) {
			c.addNode("drbdtest1", "COMBINED", "10.9.9.9", "ONLINE")
		}, "LINSTOR has it already, at 10.9.9.9 and not at 192.168.2.61"},
		{"same pool", "POST /v1/nodes/drbdtest1/storage-pools", func(c *controller) {
			c.nodes[0].pools["pool01"] = onVG("drbdpool")
		}, ""},
		{"pool elsewhere", "POST /v1/nodes/drbdtest1/storage-pools", func(c *controller) {
			c.nodes[0].pools["pool01"] = onVG("other")
		}, "LINSTOR has it on other, the file has drbdpool"},
		{"group", "POST /v1/resource-groups", func(c *controller) {
			c.groups["drbdnfs"] = object{"name": "drbdnfs"}
		}, ""},
		{"other size", "POST /v1/resource-definitions/res0/volume-definitions", func(c *controller) {
			c.rds["res0"].sizeKiB = 1 << 20
		}, "another size than 6442450944 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				once := true
				c.intercept = func(r *http.Request) *reply {
					if once && r.Method+" "+r.URL.Path == tt.call {
						once = false
						tt.make(c)
					}
					return nil
				}
				err := (&watcher{}).apply(t.Context(), stage(t, c, twoLVM))
				switch {
				case tt.err == "" && err != nil:
					t.Error(err)
				case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
					t.Errorf("got %v, want ...%s", err, tt.err)
				}
			})
		})
	}
}

// Ensure that what LINSTOR takes and does not do is noticed where it happens.
func TestTakenAndNotDone(t *testing.T) {
	for _, tt := range []struct{ method, path, want string }{
		{"POST", "/v1/nodes", "create node drbdtest1: LINSTOR took it and does not have it: linstor error-reports list"},
		{
			"POST", "/v1/nodes/drbdtest1/storage-pools",
			"create storage pool pool01 on drbdtest1: LINSTOR took it and does not have it: linstor error-reports list",
		},
		{
			"PUT", "/v1/resource-definitions/res0",
			"set DRBD options of resource definition res0: LINSTOR took al-extents=3389 and did not set it: " +
				"linstor resource-definition list-properties res0",
		},
		{
			"POST", "/v1/resource-definitions/res0/volume-definitions",
			"create volume definition 0 of res0: LINSTOR has it with another size than 6442450944 KiB: linstor volume-definition list",
		},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				c.intercept = func(r *http.Request) *reply {
					if r.Method != tt.method || r.URL.Path != tt.path {
						return nil
					}
					ok := created("object")
					return &ok
				}
				err := (&watcher{}).apply(t.Context(), stage(t, c, twoLVM))
				if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
					t.Errorf("got %v\nwant ...%s", err, tt.want)
				}
			})
		})
	}
}

// Ensure that a pool that turns out too small when it has been made stops the
// run before anything is placed on it.
func TestPlaceChecksSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := empty(t)
		c.free["drbdtest2"] = 5 << 30
		err := (&watcher{}).apply(t.Context(), stage(t, c, twoLVM))
		if err == nil || !strings.Contains(err.Error(), "storage pool pool01 on drbdtest2: 5120 GiB are free, 6T with DRBD's metadata takes 6145 GiB") {
			t.Fatalf("got %v", err)
		}
		if c.rds["res0"].on("drbdtest2") != nil {
			t.Error("the resource was placed all the same")
		}
	})
}

// Ensure that the other nodes speak to nobody.
func TestOtherNode(t *testing.T) {
	s := linstor.New(linstor.Options{Config: parse(t, twoLVM), Self: "drbdtest2"})
	const want = "other LINSTOR: drbdtest1 does it (LINSTOR's controller) [storage.controller]\n"
	if got := look(t, s); got != want {
		t.Errorf("look: got %q, want %q", got, want)
	}
	items, err := s.LookRemove(t.Context())
	if err != nil || render(items) != want {
		t.Errorf("look remove: got %q, %v", render(items), err)
	}
	if s.Name() != setup.LINSTOR {
		t.Errorf("name is %s", s.Name())
	}
}

// Ensure that taking back keeps all that is there and says how to delete it,
// and that it changes nothing.
func TestLookRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := empty(t)
		s := stage(t, c, tied)
		items, err := s.LookRemove(t.Context())
		if err != nil || len(items) != 0 {
			t.Fatalf("from nothing: got %q, %v", render(items), err)
		}
		apply(t, s)
		c.calls = nil
		if items, err = s.LookRemove(t.Context()); err != nil {
			t.Fatal(err)
		}
		golden(t, "remove.plan", render(items))
		if w := writes(c.calls); len(w) > 0 {
			t.Errorf("looking changed something: %q", w)
		}
	})
}

// Ensure that what is waited for is named, and that waiting ends with ctx.
func TestAwait(t *testing.T) {
	for _, tt := range []struct {
		name string
		prep func(c *controller)
		says string
	}{
		{
			"satellite", func(c *controller) { c.onlineIn = 1000 },
			"LINSTOR's satellites: drbdtest1 is OFFLINE: systemctl status linstor-satellite on drbdtest1; " +
				"drbdtest2 is OFFLINE: systemctl status linstor-satellite on drbdtest2",
		},
		{
			"volume", func(c *controller) { c.deployIn = 1000 },
			"LINSTOR to deploy the volume on drbdtest1, drbdtest2 (linstor volume list, linstor error-reports list)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				tt.prep(c)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				w := &watcher{}
				if err := w.apply(ctx, stage(t, c, twoLVM)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the end of ctx", err)
				}
				if n := len(w.waiting); n == 0 || w.waiting[n-1] != tt.says {
					t.Errorf("got %q, want %q last", w.waiting, tt.says)
				}
			})
		})
	}
}

// Ensure that what LINSTOR reports about a volume that does not appear is shown.
func TestAwaitVolumeReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := empty(t)
		c.deployIn = 1000
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w := &watcher{}
		c.intercept = func(r *http.Request) *reply {
			if rd := c.rds["res0"]; r.URL.Path == "/v1/view/resources" && rd.on("drbdtest2") != nil {
				rd.on("drbdtest2").report = "lvcreate: no space left"
			}
			return nil
		}
		if err := w.apply(ctx, stage(t, c, twoLVM)); err == nil {
			t.Fatal("it came to be")
		}
		if len(w.waiting) == 0 || !strings.Contains(w.waiting[len(w.waiting)-1], "drbdtest2: lvcreate: no space left") {
			t.Errorf("got %q", w.waiting)
		}
	})
}

// Ensure that a satellite that waiting does not help is an error at once.
func TestAwaitFinalStatus(t *testing.T) {
	for status, says := range map[string]string{
		"HOSTNAME_MISMATCH": "has to be what uname -n prints",
		"OTHER_CONTROLLER":  "run linstor-controller on one node only",
		"VERSION_MISMATCH":  "the same version of LINSTOR",
	} {
		t.Run(status, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				c.intercept = func(*http.Request) *reply {
					for _, n := range c.nodes {
						if n.name == "drbdtest2" {
							n.status = status
						}
					}
					return nil
				}
				w := &watcher{}
				err := w.apply(t.Context(), stage(t, c, twoLVM))
				if err == nil || !strings.Contains(err.Error(), "drbdtest2 is "+status) || !strings.Contains(err.Error(), says) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
