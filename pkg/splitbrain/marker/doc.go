// Package marker is the file by which drbdnfsd tells the resource agent that
// this node is the victim of a split brain: what it wrote is about to be
// discarded, so it must not be promoted. It lies on the disk, for the decision
// outlives both programs and the node.
//
//	err := marker.Set(h, "res0", "incident 5f1c, drbdtest1 keeps its data") // the daemon, before it discards
//	victim, err := marker.There(h, "res0")                               // the agent, before it promotes
//	err = marker.Clear(h, "res0")                                        // the daemon, when DRBD is connected again
package marker
