package switchover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/host"
)

// moveScore is worth more than the difference between a target with good data
// (1000 at least) and the active node (10000), and less than between one without
// (10 at most) and the active node. See the package's documentation.
const moveScore = 9500

// timeLayout is a time in a rule, ISO 8601.
const timeLayout = "2006-01-02 15:04:05Z"

// ConstraintID is the id of the location constraint that moves group: in the CIB
// while a command works, and after one that was killed, until the next command
// or its end time.
func ConstraintID(group string) string { return group + "-move" }

// madeBy is before the name of the node in the id of the date expression: the
// CIB has no room for comments.
const madeBy = "-by-"

// roleWord is how a document spells the promoted role; schemas before 3.7 have
// the old word (xml/constraints-3.7.rng).
func roleWord(doc *etree.Document) string {
	version := strings.TrimPrefix(doc.Root().SelectAttrValue("validate-with", ""), "pacemaker-")
	major, minor, _ := strings.Cut(version, ".")
	x, err := strconv.Atoi(major)
	y, too := strconv.Atoi(minor)
	if err == nil && too == nil && (x < 3 || x == 3 && y < 7) {
		return "Master"
	}
	return "Promoted"
}

// element is the constraint for a hold on a clone.
func (h Hold) element(group, clone, role string) *etree.Element {
	id := ConstraintID(group)
	el := etree.NewElement("rsc_location")
	el.CreateAttr("id", id)
	el.CreateAttr("rsc", clone)
	rule := el.CreateElement("rule")
	rule.CreateAttr("id", id+"-rule")
	rule.CreateAttr("role", role)
	rule.CreateAttr("score", strconv.Itoa(moveScore))
	rule.CreateAttr("boolean-op", "and")
	to := rule.CreateElement("expression")
	to.CreateAttr("id", id+"-to")
	to.CreateAttr("attribute", "#uname")
	to.CreateAttr("operation", "eq")
	to.CreateAttr("value", h.Target)
	until := rule.CreateElement("date_expression")
	until.CreateAttr("id", id+madeBy+h.By)
	until.CreateAttr("operation", "lt")
	until.CreateAttr("end", h.Until.UTC().Format(timeLayout))
	return el
}

// findHold returns the constraint of a run in a CIB, nil for none. One that
// somebody has edited beyond recognition has ended long ago.
func findHold(doc *etree.Document, group string) *Hold {
	el := doc.FindElement("./cib/configuration/constraints/rsc_location[@id='" + ConstraintID(group) + "']")
	if el == nil {
		return nil
	}
	h := &Hold{}
	if to := el.FindElement("./rule/expression"); to != nil {
		h.Target = to.SelectAttrValue("value", "")
	}
	if until := el.FindElement("./rule/date_expression"); until != nil {
		_, h.By, _ = strings.Cut(until.SelectAttrValue("id", ""), ConstraintID(group)+madeBy)
		if t, err := time.Parse(timeLayout, until.SelectAttrValue("end", "")); err == nil {
			h.Until = t
		}
	}
	return h
}

// Bounds of Pacemaker's programs.
const (
	cibTimeout      = 15 * time.Second
	simulateTimeout = 20 * time.Second
	cleanupTimeout  = 30 * time.Second
)

// errHeld reports that another run was quicker.
var errHeld = errors.New("another move has begun meanwhile")

// exitExists is cibadmin --create for an id that is there (seen with 2.1.5).
const exitExists = 108

func (s *Switch) run(ctx context.Context, limit time.Duration, c host.Cmd) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	res, err := s.machine.Run(ctx, c)
	return res.Stdout, err
}

// hold makes the constraint, or turns the one that this run has made to another
// target.
func (s *Switch) hold(ctx context.Context, verb string, h Hold) error {
	doc := etree.NewDocumentWithRoot(h.element(s.group, s.clone, s.role))
	text, err := doc.WriteToBytes()
	if err != nil {
		return err
	}
	_, err = s.run(ctx, cibTimeout, host.Cmd{
		Op: "switchover.hold", Name: "cibadmin", Args: []string{"--" + verb, "--scope", "constraints", "--xml-pipe"}, Stdin: text,
	})
	var ee *host.ExitError
	if errors.As(err, &ee) && ee.Code == exitExists {
		return errHeld
	}
	if err != nil {
		return fmt.Errorf("ask Pacemaker for %s: %w", h.Target, err)
	}
	return nil
}

// release removes the constraint that was made on a node and looks that it is
// gone. It tries several times. Nothing to remove is success.
func (s *Switch) release(ctx context.Context, by string) error {
	id := ConstraintID(s.group)
	xpath := "//rsc_location[@id='" + id + "'][rule/date_expression/@id='" + id + madeBy + by + "']"
	var err error
	for try := range 3 {
		if try > 0 && !sleep(ctx, time.Second) {
			break
		}
		if _, err = s.run(ctx, cibTimeout, host.Cmd{Op: "switchover.release", Name: "cibadmin", Args: []string{"--delete", "--xpath", xpath}}); err != nil {
			continue
		}
		var doc *etree.Document
		if doc, err = s.query(ctx); err != nil {
			continue
		}
		if h := findHold(doc, s.group); h == nil || h.By != by {
			return nil
		}
		err = errors.New("it is still there")
	}
	return fmt.Errorf("the constraint %s is not removed: %w: cibadmin --delete --xpath \"//rsc_location[@id='%s']\"", id, err, id)
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
