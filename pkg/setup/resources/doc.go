// Package resources is the cib stage of setup: it brings the group into
// Pacemaker's configuration, and waits until clients are served.
//
//	s := resources.New(resources.Options{Machine: host.New(log), Config: c, Self: "drbdtest1", Log: log})
//	items, err := s.Look(ctx) // one item for each difference
//
// One node does it for all: the one on which the group is Promoted, else the
// first of the configuration. What is to be changed is decided by pkg/cib. The
// way into the cluster is a patch that Pacemaker refuses when somebody else has
// changed the configuration in between (a handler of DRBD that adds a constraint,
// a person with pcs); then everything starts again with what is there now. Before
// that, crm_verify must find no error that was not there, and crm_simulate no
// other resource that would stop or move.
//
// Where nothing differs, nothing is sent, and the CIB keeps its epoch.
package resources
