package splitbrain

// Refusal is why nothing is discarded, one word for metrics and status. The
// empty Refusal is none.
type Refusal string

// The refusals.
const (
	RefusalManual       Refusal = "manual"
	RefusalPolicyBroken Refusal = "policy-broken"
	RefusalPolicy       Refusal = "policy-unknown"
	RefusalPolicyDiffer Refusal = "policies-differ"
	RefusalPeerMissing  Refusal = "peer-missing"
	RefusalMismatch     Refusal = "evidence-mismatch"
	RefusalNoWord       Refusal = "no-word-of-drbd"
	RefusalNotProven    Refusal = "not-proven"
	RefusalOrderAlone   Refusal = "order-not-shared"
	RefusalOrdersDiffer Refusal = "orders-differ"

	RefusalUnrelated   Refusal = "unrelated-data"
	RefusalFullSync    Refusal = "full-resync"
	RefusalVolumes     Refusal = "volumes-differ"
	RefusalMixed       Refusal = "mixed-volumes"
	RefusalMoreNodes   Refusal = "more-nodes"
	RefusalDisk        Refusal = "disk"
	RefusalVictimInUse Refusal = "victim-in-use"
	RefusalBothPrimary Refusal = "both-primary"
	RefusalNoPrimary   Refusal = "no-primary"
	RefusalEqual       Refusal = "equal"
	RefusalNoChanges   Refusal = "changes-unknown"
	RefusalNoTimes     Refusal = "times-unknown"

	RefusalCoolDown  Refusal = "cool-down"
	RefusalCommitted Refusal = "committed"
	RefusalBegun     Refusal = "begun"
	RefusalTried     Refusal = "tried"
	RefusalOrderVoid Refusal = "order-void"

	RefusalMarker      Refusal = "marker-failed"
	RefusalLook        Refusal = "look-failed"
	RefusalSnapshot    Refusal = "snapshot-failed"
	RefusalDiscard     Refusal = "discard-failed"
	RefusalHandshake   Refusal = "handshake-timeout"
	RefusalInterrupted Refusal = "interrupted"
	RefusalState       Refusal = "state-not-saved"
	RefusalLost        Refusal = "state-lost"
)

// lasting tells how long a refusal stands.
type lasting int

const (
	waits   lasting = iota // until what it waits for is there
	settles                // likewise, but only while Pacemaker may still sort itself out; then until a person lifts it
	final                  // until a person lifts it, or the connection is live again
)

// refusal is what is known of a [Refusal].
type refusal struct {
	lasting lasting
	failed  bool // something was tried and went wrong, as opposed to not being allowed
	why     string
	remedy  string
}

const (
	byHand  = "decide which node's data to discard, and run the commands below"
	byOrder = "decide which node's data to discard: drbdnfs split-brain resolve"
	liftIt  = "repair the cause, then lift the hold, or run the commands below"
	waitFor = "nothing, or run the commands below"
)

// refusals explains each. Nothing writes to it.
var refusals = map[Refusal]refusal{
	RefusalManual:       {waits, false, "the policy is manual: a person decides", byOrder},
	RefusalPolicyBroken: {waits, false, "the configuration of a node cannot be read, so nothing is discarded by the old one", "repair the configuration file"},
	RefusalPolicy:       {waits, false, "the policy is incomplete, or names a node that is not one of these two", "repair the configuration file"},
	RefusalPolicyDiffer: {waits, false, "the two nodes have different split brain policies", "give both nodes the same configuration file"},
	RefusalPeerMissing:  {waits, false, "the peer has said nothing since the connection was lost, so its data cannot be compared", "start drbdnfsd on the peer"},
	RefusalMismatch:     {waits, false, "the peer's evidence is not about this resource and this node", "compare the configuration of the two nodes"},
	RefusalNoWord:       {waits, false, "the generation identifiers prove divergence, but DRBD was not asked to connect and has not said split brain", "connect both nodes (drbdadm connect), or decide: drbdnfs split-brain resolve"},
	RefusalNotProven:    {waits, false, "the generation identifiers of the two nodes do not prove divergence", "connect both nodes (drbdadm connect); lift the hold if it was another resource's or an old one"},
	RefusalOrderAlone:   {waits, false, "a person's order is known on one node only", "start drbdnfsd on the other node, or give the order again"},
	RefusalOrdersDiffer: {waits, false, "the two nodes were given different orders", "give the order again, on the node whose order is wrong: drbdnfs split-brain resolve"},

	RefusalUnrelated:   {settles, false, "the data of the two nodes have no common origin", "find out which disk belongs here; nothing but a full resync can make them one"},
	RefusalFullSync:    {settles, false, "the last common generation is too old for the bitmap: the whole volume would be overwritten", byHand},
	RefusalVolumes:     {settles, false, "the two nodes do not have the same volumes", "give both nodes the same volumes"},
	RefusalMixed:       {settles, false, "the node that would discard has newer data in a volume that did not diverge", byHand},
	RefusalMoreNodes:   {settles, false, "the resource has data on more than two nodes", byHand},
	RefusalDisk:        {settles, false, "the data to keep is not UpToDate, or the disk to overwrite is not attached", "bring the disks back, or run the commands below"},
	RefusalVictimInUse: {settles, false, "the node that would discard is Primary, promoted or has the file system mounted, or it is not known that it is not", "stop the service on that node"},
	RefusalBothPrimary: {settles, false, "both nodes are Primary", "stop the service on the node whose data is to be discarded"},
	RefusalNoPrimary:   {settles, false, "neither node is Primary", byOrder},
	RefusalEqual:       {settles, false, "what the policy compares is equal on both nodes", byOrder},
	RefusalNoChanges:   {settles, false, "it is not known how much each node has changed", byOrder},
	RefusalNoTimes:     {settles, false, "it is not known when each node was promoted", byOrder},

	RefusalCoolDown:  {final, false, "this resource was resolved automatically too often of late", "find out why the nodes keep losing each other, then lift the hold on both, or run the commands below"},
	RefusalCommitted: {final, false, "this node has promised the peer to keep its data, and the verdict is now against it", byHand},
	RefusalBegun:     {final, false, "this node had begun to discard, and the verdict is now for it", byOrder},
	RefusalTried:     {final, false, "discarding was tried once for this split brain", liftIt},
	RefusalOrderVoid: {final, false, "a person's order counts no more, because of what has happened since", byOrder},

	RefusalMarker:      {final, true, "the agent could not be told to refuse promotion", liftIt},
	RefusalLook:        {final, true, "the state of this node could not be read under the agent's lock", liftIt},
	RefusalSnapshot:    {final, true, "the snapshot of the data to be discarded failed", "make room in the volume group, then lift the hold, or run the commands below"},
	RefusalDiscard:     {final, true, "DRBD refused to connect with --discard-my-data", liftIt},
	RefusalHandshake:   {final, true, "the peer did not answer in time, so the order to discard was withdrawn", liftIt},
	RefusalInterrupted: {final, true, "the daemon ended in the middle of a resolution", liftIt},
	RefusalState:       {final, true, "the daemon's own state could not be written to disk", liftIt},
	RefusalLost:        {final, true, "the daemon's own state could not be read back", byHand},
}

// Valid reports whether r is one of the enumerated refusals.
func (r Refusal) Valid() bool { _, ok := refusals[r]; return ok }

// Stands reports whether nothing but a person, or a live connection, ends r. The
// others end by themselves, at first at least.
func (r Refusal) Stands() bool { return refusals[r].lasting == final }

// Explain returns one sentence why, and one what to do about it.
func (r Refusal) Explain() (why, remedy string) {
	e, ok := refusals[r]
	if !ok {
		return "a reason of another version: " + string(r), waitFor
	}
	return e.why, e.remedy
}
