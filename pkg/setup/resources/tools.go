package resources

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/host"
)

// Exit codes of Pacemaker's programs (include/crm/common/results.h).
const (
	exitUnavailable = 69
	exitDisconnect  = 102
	exitOld         = 103
	exitNoQuorum    = 106
	exitUnsafe      = 107
)

// notRunning reports whether there is no cluster to talk to.
func notRunning(err error) bool {
	return errors.Is(err, host.ErrNotInstalled) || exited(err, exitDisconnect, exitUnavailable, exitUnsafe)
}

// exited reports whether a program ended with one of codes.
func exited(err error, codes ...int) bool {
	var ee *host.ExitError
	return errors.As(err, &ee) && slices.Contains(codes, ee.Code)
}

// query returns the CIB.
func (s *Stage) query(ctx context.Context) (*etree.Document, error) {
	res, err := s.machine.Run(ctx, host.Cmd{Op: "setup.cib.query", Name: "cibadmin", Args: []string{"--query"}})
	if err != nil {
		return nil, err
	}
	doc, err := cib.Parse(res.Stdout)
	if err != nil {
		return nil, fmt.Errorf("cibadmin --query: %w", err)
	}
	return doc, nil
}

// position matches what differs between two reports of the same problem.
var position = regexp.MustCompile(`line \d+:`)

// verify returns the errors that crm_verify finds in after and not in before.
func (s *Stage) verify(ctx context.Context, before, after []byte) ([]string, error) {
	found, err := s.problems(ctx, after)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	known, err := s.problems(ctx, before)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(line string) bool { return slices.Contains(known, line) }), nil
}

// onlyWarnings is how crm_verify says that it has found no error, with the exit
// code of an error.
const onlyWarnings = "Warnings found during check"

// problems returns what crm_verify calls an error.
func (s *Stage) problems(ctx context.Context, doc []byte) ([]string, error) {
	_, err := s.machine.Run(ctx, host.Cmd{
		Op: "setup.cib.verify", Name: "crm_verify", Args: []string{"--verbose", "--xml-pipe"}, Stdin: doc,
	})
	var ee *host.ExitError
	if err == nil {
		return nil, nil
	}
	if !errors.As(err, &ee) || ee.Code < 0 {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(ee.Stderr) {
		_, text, ok := strings.Cut(line, "error: ")
		if !ok {
			continue
		}
		if text = strings.TrimSpace(position.ReplaceAllString(text, "")); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 && !strings.Contains(ee.Stderr, onlyWarnings) {
		out = append(out, fmt.Sprintf("exit code %d: %s", ee.Code, ee.Stderr))
	}
	return out, nil
}

// action is what crm_simulate says would be done to a resource.
type action struct {
	Action   string `xml:"action,attr"`
	Resource string `xml:"resource,attr"`
	Node     string `xml:"node,attr"`
	Source   string `xml:"source,attr"`
	Blocked  string `xml:"blocked,attr"`
}

// where is the node on which something ends.
func (a action) where() string { return a.Node + a.Source }

// harmless actions end nothing. The first four begin something.
var harmless = []string{"start", "promote", "leave", "monitor", "reload"}

// disturbed lists the resources that are not ours and would stop, move or
// restart because of the change from before to after.
func (s *Stage) disturbed(ctx context.Context, before, after []byte) ([]string, error) {
	planned, err := s.simulate(ctx, after)
	if err != nil || len(planned) == 0 {
		return nil, err
	}
	anyway, err := s.simulate(ctx, before)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range planned {
		name, _, _ := strings.Cut(a.Resource, ":")
		ours := name == s.group() || strings.HasPrefix(name, "drbdnfs-") || slices.Contains(s.replaced, name)
		if ours || a.Blocked == "true" || slices.Contains(harmless, a.Action) || slices.Contains(anyway, a) {
			continue
		}
		out = append(out, fmt.Sprintf("%s (%s on %s)", name, a.Action, a.where()))
	}
	return out, nil
}

// simulate returns what the cluster would do with a CIB. It lets crm_simulate
// (2.1.5) plan and not play that out: playing needs a shadow CIB, and aborts
// for nodes that were never online.
func (s *Stage) simulate(ctx context.Context, doc []byte) ([]action, error) {
	res, err := s.machine.Run(ctx, host.Cmd{
		Op: "setup.cib.simulate", Name: "crm_simulate", Args: []string{"--run", "--xml-pipe", "--output-as=xml"}, Stdin: doc,
	})
	if err != nil {
		return nil, err
	}
	var result struct {
		Actions []action `xml:"actions>rsc_action"`
	}
	if err := xml.Unmarshal(res.Stdout, &result); err != nil {
		return nil, fmt.Errorf("crm_simulate: %w", err)
	}
	return result.Actions, nil
}

// diff returns the patch from before to after, empty where they are the same.
// The files may hold the passwords of fence devices.
func (s *Stage) diff(ctx context.Context, before, after []byte) (_ []byte, err error) {
	if err := s.machine.RemoveAll("setup.cib.clean", s.dir); err != nil {
		return nil, err // what a run that was killed has left
	}
	if err := s.machine.MkdirAll("setup.cib.mkdir", s.dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.machine.RemoveAll("setup.cib.clean", s.dir)) }()
	from, to := s.dir+"/before.xml", s.dir+"/after.xml"
	if err := s.machine.WriteFileAtomic("setup.cib.write", from, before, 0o600); err != nil {
		return nil, err
	}
	if err := s.machine.WriteFileAtomic("setup.cib.write", to, after, 0o600); err != nil {
		return nil, err
	}
	res, err := s.machine.Run(ctx, host.Cmd{Op: "setup.cib.diff", Name: "crm_diff", Args: []string{"--original", from, "--new", to}})
	if err != nil && !exited(err, 1) { // 1 is a difference
		return nil, err
	}
	if err != nil && len(res.Stdout) == 0 {
		return nil, err
	}
	return res.Stdout, nil
}

// patch sends a difference to the cluster.
func (s *Stage) patch(ctx context.Context, diff []byte) error {
	_, err := s.machine.Run(ctx, host.Cmd{
		Op: "setup.cib.patch", Name: "cibadmin", Args: []string{"--patch", "--xml-pipe"}, Stdin: diff,
	})
	return err
}

// nextVersion makes doc the successor of what was queried. A patch names both
// versions, and Pacemaker refuses it unless its own is the first of them and the
// second is higher (lib/common/patchset.c, xml_patch_version_check).
func nextVersion(doc *etree.Document) error {
	root := doc.Root()
	epoch, err := strconv.Atoi(root.SelectAttrValue("epoch", ""))
	if err != nil {
		return fmt.Errorf("the CIB's epoch %q: %w", root.SelectAttrValue("epoch", ""), err)
	}
	root.CreateAttr("epoch", strconv.Itoa(epoch+1))
	root.CreateAttr("num_updates", "0")
	return nil
}

// generation tells configurations apart; changes of the status section do not
// count.
func generation(doc *etree.Document) string {
	root := doc.Root()
	return root.SelectAttrValue("admin_epoch", "0") + "." + root.SelectAttrValue("epoch", "0")
}
