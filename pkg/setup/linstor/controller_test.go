package linstor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	linstor "github.com/LINBIT/golinstor"
)

// object is JSON as LINSTOR's API has it, written from its description
// (docs/rest_v1_openapi.yaml) and not with the client's types.
type object = map[string]any

// controller is a small LINSTOR behind the calls that the stage makes: what its
// API documents, what its server checks, and what it does by itself.
type controller struct {
	t  *testing.T
	mu sync.Mutex

	nodes     []*node
	groups    map[string]object
	rds       map[string]*definition
	free      map[string]int64 // KiB in the volume group of each node
	onlineIn  int              // looks at the nodes until a new one is ONLINE
	deaf      bool             // says yes to a new size and keeps the old one
	deployIn  int              // looks at the resources until a new one is deployed
	token     string           // bearer token that is asked for
	password  string           // basic authentication that is asked for
	calls     []string
	intercept func(r *http.Request) *reply // answers instead, when not nil
	mux       *http.ServeMux
}

type node struct {
	name, kind, address, status string
	looks                       int
	flags                       []string
	noDRBD                      string
	iface                       string // name of the first interface
	interfaces                  int
	quiet                       bool // an older LINSTOR, which does not say which interface is in use
	pools                       map[string]*pool
}

type pool struct {
	name, kind string
	props      map[string]string
	report     string
}

type definition struct {
	name, group string
	port        int
	flags       []string
	props       map[string]string
	sizeKiB     int64 // 0: no volume definition
	resources   []*resource
}

type resource struct {
	node, pool, state, report string
	flags                     []string
	looks                     int
}

// reply is an answer with a status.
type reply struct {
	status int
	body   any
}

const sixTiB = 6 << 30 // KiB

func newController(t *testing.T) *controller {
	c := &controller{
		t: t, groups: map[string]object{"DfltRscGrp": {"name": "DfltRscGrp"}}, rds: map[string]*definition{},
		free: map[string]int64{}, onlineIn: 2, deployIn: 2, mux: http.NewServeMux(),
	}
	for pattern, answer := range map[string]func(*http.Request, object) reply{
		"GET /v1/controller/version":                                c.version,
		"GET /v1/nodes":                                             c.listNodes,
		"POST /v1/nodes":                                            c.createNode,
		"GET /v1/nodes/{node}":                                      c.getNode,
		"PUT /v1/nodes/{node}":                                      c.modifyNode,
		"PUT /v1/nodes/{node}/net-interfaces/{if}":                  c.modifyInterface,
		"GET /v1/view/storage-pools":                                c.listPools,
		"GET /v1/nodes/{node}/storage-pools/{pool}":                 c.getPool,
		"POST /v1/nodes/{node}/storage-pools":                       c.createPool,
		"GET /v1/resource-groups/{group}":                           c.getGroup,
		"POST /v1/resource-groups":                                  c.createGroup,
		"POST /v1/resource-definitions":                             c.createDefinition,
		"GET /v1/resource-definitions/{rd}":                         c.getDefinition,
		"PUT /v1/resource-definitions/{rd}":                         c.modifyDefinition,
		"GET /v1/resource-definitions/{rd}/volume-definitions/{nr}": c.getVolume,
		"POST /v1/resource-definitions/{rd}/volume-definitions":     c.createVolume,
		"PUT /v1/resource-definitions/{rd}/volume-definitions/{nr}": c.modifyVolume,
		"GET /v1/resource-definitions/{rd}/resources/{node}":        c.getResource,
		"POST /v1/resource-definitions/{rd}/resources/{node}":       c.createResource,
		"GET /v1/view/resources":                                    c.listResources,
	} {
		c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, answer) })
	}
	return c
}

// ServeHTTP records the call and answers it.
func (c *controller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	c.calls = append(c.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	if c.intercept != nil {
		if no := c.intercept(r); no != nil {
			write(w, *no)
			return
		}
	}
	if no := c.unauthorised(r); no != nil {
		write(w, *no)
		return
	}
	if _, pattern := c.mux.Handler(r); pattern == "" {
		c.t.Errorf("a call that the model does not have: %s %s", r.Method, r.URL)
	}
	c.mux.ServeHTTP(w, r)
}

// serve is what each handler does: the body is JSON or nothing.
func (c *controller) serve(w http.ResponseWriter, r *http.Request, answer func(*http.Request, object) reply) {
	in := object{}
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			write(w, reply{http.StatusBadRequest, rc(linstor.ApiCallParseError, "Unable to parse input json.")})
			return
		}
	}
	write(w, answer(r, in))
}

func write(w http.ResponseWriter, r reply) {
	if text, ok := r.body.(string); ok {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(r.body)
}

// rc is LINSTOR's array of replies with one in it.
func rc(code uint64, message string, more ...object) []object {
	o := object{"ret_code": int64(code), "message": message}
	for _, m := range more {
		maps.Copy(o, m)
	}
	return []object{o}
}

func created(what string) reply {
	return reply{http.StatusCreated, rc(linstor.MaskInfo|1, "New "+what+" created.")}
}

func modified(what string) reply {
	return reply{http.StatusOK, rc(linstor.MaskInfo|3, what+" modified.")}
}

func missing(code uint64, what string) reply {
	return reply{http.StatusNotFound, rc(code, what+" not found.")}
}

func failure(code uint64, message string, more ...object) reply {
	return reply{http.StatusInternalServerError, rc(code, message, more...)}
}

// unauthorised answers as LINSTOR does for a wrong token, and for no or a wrong
// password.
func (c *controller) unauthorised(r *http.Request) *reply {
	if c.token != "" && r.Header.Get("Authorization") != "Bearer "+c.token {
		return &reply{http.StatusUnauthorized, rc(linstor.FailAccDeniedCommand, "Unauthorized: token invalid or not provided")}
	}
	_, password, ok := r.BasicAuth()
	switch {
	case c.password == "" || password == c.password:
		return nil
	case !ok:
		return &reply{http.StatusUnauthorized, rc(linstor.FailSignInMissingCredentials, "Sign-in failed: Missing credentials")}
	}
	return &reply{http.StatusForbidden, rc(linstor.FailSignIn, "Sign-in failed for password "+password)}
}

func (c *controller) version(*http.Request, object) reply {
	return reply{http.StatusOK, object{"version": "1.34.0", "rest_api_version": "1.28.0"}}
}

func (c *controller) node(name string) *node {
	for _, n := range c.nodes {
		if strings.EqualFold(n.name, name) {
			return n
		}
	}
	return nil
}

func (n *node) json() object {
	o := object{"name": n.name, "type": n.kind, "flags": n.flags, "connection_status": n.status, "uuid": "a-uuid"}
	var ifaces []object
	for i := range n.interfaces {
		one := object{"name": n.iface, "address": n.address, "satellite_port": 3366, "satellite_encryption_type": "PLAIN", "uuid": "a-uuid"}
		if i > 0 {
			one["name"], one["address"] = fmt.Sprintf("link%d", i), fmt.Sprintf("10.0.%d.1", i)
		}
		if !n.quiet {
			one["is_active"] = i == 0
		}
		ifaces = slices.Insert(ifaces, 0, one) // the one in use is the last
	}
	o["net_interfaces"] = ifaces
	if n.noDRBD != "" && n.status == "ONLINE" {
		o["unsupported_layers"] = object{"DRBD": []string{n.noDRBD}}
	}
	return o
}

func (c *controller) listNodes(*http.Request, object) reply {
	list := []object{}
	for _, n := range c.nodes {
		if n.status == "OFFLINE" && n.looks >= 0 {
			if n.looks++; n.looks > c.onlineIn {
				n.status = "ONLINE"
			}
		}
		list = append(list, n.json())
	}
	return reply{http.StatusOK, list}
}

func (c *controller) getNode(r *http.Request, _ object) reply {
	if n := c.node(r.PathValue("node")); n != nil {
		return reply{http.StatusOK, n.json()}
	}
	return missing(linstor.FailNotFoundNode, "Node")
}

func (c *controller) createNode(_ *http.Request, in object) reply {
	name, _ := in["name"].(string)
	if c.node(name) != nil {
		return failure(linstor.FailExistsNode, "A node with the name '"+name+"' already exists.")
	}
	iface := in["net_interfaces"].([]any)[0].(object)
	c.addNode(name, strings.ToUpper(in["type"].(string)), iface["address"].(string), "OFFLINE")
	return created("node '" + name + "'")
}

func (c *controller) addNode(name, kind, address, status string) *node {
	n := &node{name: name, kind: kind, address: address, status: status, iface: "default", interfaces: 1, pools: map[string]*pool{
		"DfltDisklessStorPool": {name: "DfltDisklessStorPool", kind: "DISKLESS"},
	}}
	c.nodes = append(c.nodes, n)
	return n
}

func (c *controller) modifyNode(r *http.Request, in object) reply {
	n := c.node(r.PathValue("node"))
	n.kind = strings.ToUpper(in["node_type"].(string))
	return modified("Node")
}

func (c *controller) modifyInterface(r *http.Request, in object) reply {
	n := c.node(r.PathValue("node"))
	n.address, n.looks, n.status = in["address"].(string), 0, "OFFLINE"
	return modified("NetInterface")
}

func (c *controller) poolJSON(n *node, p *pool) object {
	o := object{"storage_pool_name": p.name, "node_name": n.name, "provider_kind": p.kind, "props": p.props, "uuid": "a-uuid"}
	if p.kind != "DISKLESS" && n.status == "ONLINE" {
		o["free_capacity"], o["total_capacity"] = c.free[n.name], int64(8<<30)
	}
	if p.report != "" {
		o["reports"] = rc(linstor.FailUnknownError, p.report)
	}
	return o
}

func (c *controller) listPools(*http.Request, object) reply {
	list := []object{}
	for _, n := range c.nodes {
		for _, name := range slices.Sorted(maps.Keys(n.pools)) {
			list = append(list, c.poolJSON(n, n.pools[name]))
		}
	}
	return reply{http.StatusOK, list}
}

func (c *controller) getPool(r *http.Request, _ object) reply {
	n := c.node(r.PathValue("node"))
	if n == nil || n.pools[r.PathValue("pool")] == nil {
		return missing(linstor.FailNotFoundStorPool, "Storage pool")
	}
	return reply{http.StatusOK, c.poolJSON(n, n.pools[r.PathValue("pool")])}
}

func (c *controller) createPool(r *http.Request, in object) reply {
	n := c.node(r.PathValue("node"))
	name, _ := in["storage_pool_name"].(string)
	switch {
	case n == nil:
		return missing(linstor.FailNotFoundNode, "Node")
	case n.status != "ONLINE":
		return failure(linstor.FailNotConnected, "No active connection to satellite '"+n.name+"'.")
	case n.pools[name] != nil:
		return failure(linstor.FailExistsStorPool, "Storage pool already exists.")
	}
	n.pools[name] = &pool{name: name, kind: in["provider_kind"].(string), props: joined(texts(in["props"]))}
	return created("storage pool")
}

// joined turns the two properties of a pool into the one that LINSTOR keeps.
func joined(props map[string]string) map[string]string {
	name := props["StorDriver/LvmVg"]
	if thin := props["StorDriver/ThinPool"]; thin != "" {
		name += "/" + thin
	}
	return map[string]string{"StorDriver/StorPoolName": name}
}

func texts(v any) map[string]string {
	out := map[string]string{}
	m, _ := v.(object)
	for k, v := range m {
		out[k] = v.(string)
	}
	return out
}
