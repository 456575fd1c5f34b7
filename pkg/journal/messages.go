package journal

// MessageID is the attribute that becomes the journal's MESSAGE_ID. It is not
// repeated in the text of the message:
//
//	journalctl MESSAGE_ID=f32b95db2e074b27a766926954fcf525
const MessageID = "message_id"

// The message ids of drbdnfsd. They never change.
const (
	SplitBrainFound     = "f32b95db2e074b27a766926954fcf525" // both nodes have written without each other
	SplitBrainDecided   = "7c101baedfb14ede8201e84c0cd1465e" // the policy names the victim
	SplitBrainDiscarded = "47cc2eadc3f44a898a21ac817c234167" // what the victim wrote is being overwritten
	SplitBrainResolved  = "4e01cb9736114e8aab191ccb2ab87975" // the nodes are connected again
	SplitBrainRefused   = "3786749b4c18465290bbb7c25ea22eb8" // nothing is done, a person has to decide
	SplitBrainFailed    = "f8d5abf6e43b4cef9f4ac05e7b368e22" // the resolution was begun and did not end well
)
