package declare

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Attribute is the private attribute under which each node publishes a [Node].
const Attribute = "drbdnfs-node"

// Words of [Node.Problem].
const (
	Missing = "missing" // there is no configuration file
	Invalid = "invalid" // it cannot be used; an earlier one is, if there was one
)

// Node is what one node says of itself. Empty is not known.
type Node struct {
	Version string `json:"version"`           // of drbdnfsd
	Config  string `json:"config,omitempty"`  // digest of the configuration in use
	Problem string `json:"problem,omitempty"` // what is wrong with the file, "" for nothing
	Secret  bool   `json:"secret"`            // the cluster's secret is there
	Kernel  string `json:"drbd_kernel,omitempty"`
	Utils   string `json:"drbd_utils,omitempty"`
}

// Digest tells configurations apart by what they mean: comments and the order of
// keys do not count, defaults do, passwords do not.
func Digest(c *config.Config) string {
	sum := sha256.Sum256([]byte(c.Show()))
	return hex.EncodeToString(sum[:8])
}

// Marshal returns n as it is published. Equal nodes give equal bytes.
func (n Node) Marshal() []byte {
	data, _ := json.Marshal(n) //nolint:errchkjson // texts and a boolean
	return data
}

// Unmarshal reads what a node has published. Fields of a later version are
// skipped, and control characters are taken out of what comes from outside.
func Unmarshal(data []byte) (Node, error) {
	var n Node
	if err := json.Unmarshal(data, &n); err != nil {
		return Node{}, fmt.Errorf("read what a node says of itself: %w", err)
	}
	for _, field := range []*string{&n.Version, &n.Config, &n.Problem, &n.Kernel, &n.Utils} {
		*field = strings.Map(printable, *field)
	}
	return n, nil
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}
