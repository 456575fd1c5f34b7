package ocf_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/ocf"
)

// checkText fails the test unless err is there and says each of texts.
func checkText(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

// document is meta-data as a reader of the OCF resource agent API 1.1 sees it.
type document struct {
	XMLName    xml.Name   `xml:"resource-agent"`
	Attrs      []xml.Attr `xml:",any,attr"`
	API        string     `xml:"version"`
	Long       string     `xml:"longdesc"`
	Short      string     `xml:"shortdesc"`
	Parameters []element  `xml:"parameters>parameter"`
	Actions    []element  `xml:"actions>action"`
}

type element struct {
	Attrs   []xml.Attr `xml:",any,attr"`
	Long    string     `xml:"longdesc"`
	Short   string     `xml:"shortdesc"`
	Content struct {
		Attrs []xml.Attr `xml:",any,attr"`
	} `xml:"content"`
}

// text joins attributes as they are written.
func text(attrs []xml.Attr) string {
	var out []string
	for _, a := range attrs {
		out = append(out, a.Name.Local+"="+a.Value)
	}
	return strings.Join(out, " ")
}

func parse(t *testing.T, doc string) document {
	t.Helper()
	var d document
	dec := xml.NewDecoder(strings.NewReader(doc))
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("not well-formed: %v\n%s", err, doc)
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("after the document: %v", err)
	}
	return d
}

var example = ocf.Metadata{
	Name: "thing", Version: `1.0 "beta" <&>`,
	Short: "A <thing> & more", Long: "First paragraph, a < b && c > d.\n\nSecond \"paragraph\".",
	Parameters: []ocf.Parameter{
		{Name: "resource", Type: "string", Required: true, Unique: true, Default: "unseen", Short: "R", Long: "Long R"},
		{Name: "list", Type: "string", Reloadable: true, Default: "a \"b\" <c>\n& d", Short: "L", Long: "Long L"},
		{Name: "threads", Type: "integer", Default: "128", Short: "T", Long: "Long T"},
	},
	Actions: []ocf.ActionSpec{
		{Name: "start", Timeout: 240 * time.Second},
		{Name: "monitor", Timeout: 30 * time.Second, Interval: 10 * time.Second, Role: "Promoted", Depth: 20},
	},
}

// Ensure that every field arrives at a reader as it was given, whatever
// characters are in it.
func TestMetadataXML(t *testing.T) {
	d := parse(t, example.XML())
	got := []string{text(d.Attrs), d.API, strings.TrimSpace(d.Long), d.Short}
	wantHead := []string{"name=thing version=" + example.Version, "1.1", example.Long, example.Short}
	if diff := cmp.Diff(wantHead, got); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	got = nil
	for _, p := range d.Parameters {
		got = append(got, text(p.Attrs)+" | "+text(p.Content.Attrs)+" | "+p.Short+" | "+strings.TrimSpace(p.Long))
	}
	wantParams := []string{
		"name=resource unique=1 required=1 | type=string | R | Long R",
		"name=list reloadable=1 | type=string default=a \"b\" <c>\n& d | L | Long L",
		"name=threads | type=integer default=128 | T | Long T",
	}
	if diff := cmp.Diff(wantParams, got); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	got = nil
	for _, a := range d.Actions {
		got = append(got, text(a.Attrs))
	}
	wantActions := []string{"name=start timeout=240s", "name=monitor timeout=30s interval=10s role=Promoted depth=20"}
	if diff := cmp.Diff(wantActions, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if first, second := example.XML(), example.XML(); first != second {
		t.Error("the same meta-data gives different bytes")
	}
}

// Ensure that a document without parameters and actions is one.
func TestMetadataXMLEmpty(t *testing.T) {
	if d := parse(t, ocf.Metadata{}.XML()); len(d.Parameters)+len(d.Actions) != 0 {
		t.Errorf("%+v", d)
	}
}

// Ensure that libxml2, which Pacemaker and pcs read with, takes the document
// with its internal subset.
func TestMetadataXMLLint(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	file := filepath.Join(t.TempDir(), "meta.xml")
	if err := os.WriteFile(file, []byte(example.XML()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), xmllint, "--nonet", "--noout", file).CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%s", err, out)
	}
}
