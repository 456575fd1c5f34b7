package pacemaker

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// MaxValue is how many bytes [Client.Publish] takes: encoded they are 32 KiB, and
// the values of four nodes fit into one message of Pacemaker's (128 KiB; longer
// ones are compressed).
const MaxValue = 20 << 10

// The attribute daemon does not carry every text. It compares values without
// regard to case, and drops an update that differs in nothing else; and it
// takes a value with "++" or "+=" in its sixth place for a sum (both in
// daemons/attrd, update_attr_on_host and attrd_value_needs_expansion, and seen
// with 2.1.5). Base64 meets both. So published values are written in a base 32
// of digits and small letters, behind a mark.
const mark = "v1:"

var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Publish lets this node's value of an attribute be known to all nodes of the
// cluster, in place of the one before. Any bytes may be in it, up to [MaxValue].
//
// The attribute is private: it lives in the memory of the attribute daemons,
// is never written to the CIB and triggers no transition. That holds only for a
// name that was never used with [Client.SetNodeAttribute]. It is idempotent, and
// a value that is there already costs one small message.
//
// On return the local daemon has taken the value; the other nodes have it
// moments later, and those that join then get it from their peers. When the
// cluster has noticed the loss of a node, which takes seconds, the others forget
// its values, and it forgets theirs. When a daemon is killed and started again,
// this node's own value is lost on all nodes (seen with 2.1.5): so query now and
// then, and publish again what is not there. Each change is one line of
// Pacemaker's log on each node, cut off after 800 characters.
//
// Errors are [ErrNotRunning], [ErrNoAnswer] after 15 s, [ErrTooLong], [ErrName],
// another exit code as [*host.ExitError], or the end of ctx.
func (c *Client) Publish(ctx context.Context, name string, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("publish %s: %d bytes: %w", name, len(value), ErrTooLong)
	}
	return c.update(ctx, "pacemaker.publish", name, "--update", mark+encoding.EncodeToString(value), "--private")
}

// SetNodeAttribute sets an attribute of this node that the cluster's rules can
// refer to. It is transient: gone when the node leaves the cluster. Value is a
// plain word, as is name; words that differ only in case are the same.
//
// Pacemaker writes it to the CIB's status section, moments after the return, and
// a value that is new makes the cluster decide anew what runs where. It is
// idempotent; errors are those of [Client.Publish].
func (c *Client) SetNodeAttribute(ctx context.Context, name, value string) error {
	if err := checkNames(value); err != nil {
		return fmt.Errorf("value of node attribute %s: %w", name, err)
	}
	return c.update(ctx, "pacemaker.set", name, "--update", value)
}

// ClearNodeAttribute takes back what [Client.SetNodeAttribute] has set. It is
// idempotent.
func (c *Client) ClearNodeAttribute(ctx context.Context, name string) error {
	return c.update(ctx, "pacemaker.clear", name, "--delete")
}

// update runs attrd_updater for this node. It names no node: the daemon takes
// any name there, also one that no node has.
func (c *Client) update(ctx context.Context, op, name string, args ...string) error {
	err := checkNames(name)
	if err == nil {
		_, err = run(ctx, c.m, attrTimeout, host.Cmd{Op: op, Name: "attrd_updater", Args: append([]string{"--name", name}, args...)})
	}
	if err != nil {
		return fmt.Errorf("attribute %s: %w", name, brief{err, args})
	}
	return nil
}

// brief is an error about a program without the text of the published value,
// which can be long.
type brief struct {
	err  error
	args []string
}

func (b brief) Error() string {
	text := b.err.Error()
	for _, a := range b.args {
		if strings.HasPrefix(a, mark) {
			text = strings.ReplaceAll(text, a, mark+"...")
		}
	}
	return text
}

func (b brief) Unwrap() error { return b.err }

// Query returns what the nodes have published under name, by node. A node that
// has published nothing, or is not in the cluster, is not in it. It changes
// nothing.
//
// A value that [Client.Publish] has not written is left out and reported as
// [ErrGarbled]; the map then holds the values of the other nodes. With every
// other error (those of [Client.Publish]) it is nil.
func (c *Client) Query(ctx context.Context, name string) (map[string][]byte, error) {
	if err := checkNames(name); err != nil {
		return nil, fmt.Errorf("query attribute %s: %w", name, err)
	}
	res, err := run(ctx, c.m, attrTimeout, host.Cmd{
		Op: "pacemaker.query", Name: "attrd_updater", Args: []string{"--query", "--all", "--name", name},
	})
	if says(err, "attribute does not exist", exitConfig, exitNoSuch) {
		return map[string][]byte{}, nil // no node has ever published it
	}
	if err != nil {
		return nil, fmt.Errorf("query attribute %s: %w", name, err)
	}
	return parseQuery(name, string(res.Stdout))
}

// parseQuery reads lines of the form
//
//	name="drbdnfs-res0" host="drbdtest1" value="v1:ehin4rb5"
//
// with nothing escaped, which all versions print. An attribute that was deleted
// has an empty value.
func parseQuery(name, text string) (map[string][]byte, error) {
	out := map[string][]byte{}
	var errs []error
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		rest, named := strings.CutPrefix(line, `name="`+name+`" host="`)
		node, rest, split := strings.Cut(rest, `" value="`)
		value, whole := strings.CutSuffix(rest, `"`)
		if !named || !split || !whole || checkNames(node) != nil {
			errs = append(errs, fmt.Errorf("attribute %s: line %.100q: %w", name, line, ErrGarbled))
			continue
		}
		if value == "" {
			continue
		}
		data, err := decode(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("attribute %s of %s: %w", name, node, err))
			continue
		}
		out[node] = data
	}
	return out, errors.Join(errs...)
}

func decode(value string) ([]byte, error) {
	text, ok := strings.CutPrefix(value, mark)
	if !ok {
		return nil, ErrGarbled
	}
	data, err := encoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	return data, nil
}
