// Package linstor is setup's stage of the same name: the objects in LINSTOR that
// the volume is made of. The controller's node does it for all; the others only
// run a satellite.
//
//	s := linstor.New(linstor.Options{Machine: h, Config: c, Self: "drbdtest1", Log: log})
//	items, err := s.Look(ctx)
//	// make LINSTOR node drbdtest2: Satellite, 192.168.2.62
//	// make storage pool pool01 on drbdtest2: LVM, volume group drbdpool
//	// ...
//
// Nodes, storage pools, the resource group, the resource definition with DRBD's
// options, volume 0 and the resources are compared with the configuration one by
// one, through LINSTOR's REST API and its own Go client. What is missing is made,
// a differing option is set; nothing is ever deleted, shrunk, grown or moved:
// that is refused, with the linstor command that a person would run. [Commands]
// prints the whole as commands of LINSTOR's own client.
//
// The controller is found and spoken to as LINSTOR's tools do it, by the
// variables LS_CONTROLLERS, LS_USERNAME, LS_PASSWORD, LS_BEARER_TOKEN_FILE,
// LS_ROOT_CA, LS_USER_CERTIFICATE and LS_USER_KEY (the last three also with
// _FILE); http://localhost:3370 without them.
//
// LINSTOR runs on DRBD 9 only. Which blank volume the first synchronisation
// takes as good LINSTOR decides: the one on the node that it is placed on first,
// for which the stage takes the configuration's source. The synchronisation is
// shown by another stage.
package linstor
