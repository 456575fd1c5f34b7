package main

import (
	"encoding/xml"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// asNobody runs the agent as Pacemaker and pcs ask for meta-data: without
// rights, environment and arguments other than the action.
func asNobody(t *testing.T, action string) (string, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "drbdnfs-test-") // below t.TempDir nobody can read nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "ocf-drbdnfs") // TestMain goes by the name
	copyProgram(t, program)
	hosttest.SettleExecutables()
	cmd := exec.CommandContext(t.Context(), program, action)
	cmd.Dir, cmd.Env = "/", []string{}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.Output()
	return string(out), err
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMetadataAsNobody(t *testing.T) {
	out, err := asNobody(t, "meta-data")
	if err != nil {
		t.Fatal(err)
	}
	if out != agent.Metadata().XML() {
		t.Errorf("printed:\n%s", out)
	}
}

// document is the agent's meta-data as pcs and crmsh read it.
type document struct {
	XMLName    xml.Name `xml:"resource-agent"`
	Name       string   `xml:"name,attr"`
	API        string   `xml:"version"`
	Long       string   `xml:"longdesc"`
	Short      string   `xml:"shortdesc"`
	Parameters []struct {
		Name       string `xml:"name,attr"`
		Unique     string `xml:"unique,attr"`
		Required   string `xml:"required,attr"`
		Reloadable string `xml:"reloadable,attr"`
		Long       string `xml:"longdesc"`
		Short      string `xml:"shortdesc"`
		Content    struct {
			Type    string  `xml:"type,attr"`
			Default *string `xml:"default,attr"`
		} `xml:"content"`
	} `xml:"parameters>parameter"`
	Actions []actionTag `xml:"actions>action"`
}

type actionTag struct {
	Name     string `xml:"name,attr"`
	Timeout  string `xml:"timeout,attr"`
	Interval string `xml:"interval,attr"`
	Role     string `xml:"role,attr"`
	Depth    string `xml:"depth,attr"`
}

func metadata(t *testing.T) document {
	t.Helper()
	var d document
	if err := xml.Unmarshal([]byte(agent.Metadata().XML()), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Ensure that the document says what OCF 1.1 wants of every agent, so that no
// tool stumbles over it.
func TestMetadataHead(t *testing.T) {
	d := metadata(t)
	if d.Name != "drbdnfs" || d.API != "1.1" {
		t.Errorf("name %q, version %q", d.Name, d.API)
	}
	if strings.TrimSpace(d.Long) == "" || d.Short == "" || strings.Contains(d.Short, "\n") {
		t.Errorf("descriptions %q, %q", d.Short, d.Long)
	}
}

func TestMetadataParameters(t *testing.T) {
	var names, required, unique, reloadable []string
	for _, p := range metadata(t).Parameters {
		names = append(names, p.Name)
		for list, value := range map[*[]string]string{&required: p.Required, &unique: p.Unique, &reloadable: p.Reloadable} {
			switch value {
			case "":
			case "1":
				*list = append(*list, p.Name)
			default:
				t.Errorf("%s: attribute %q", p.Name, value)
			}
		}
		if strings.TrimSpace(p.Long) == "" || p.Short == "" || strings.Contains(p.Short, "\n") {
			t.Errorf("%s: descriptions %q, %q", p.Name, p.Short, p.Long)
		}
		if p.Name != strings.ToLower(p.Name) || strings.ContainsAny(p.Name, "- ") {
			t.Errorf("%s cannot be a variable of a shell", p.Name)
		}
		if !slices.Contains([]string{"string", "integer", "boolean", "select"}, p.Content.Type) {
			t.Errorf("%s: type %q", p.Name, p.Content.Type)
		}
		if (p.Required == "1") == (p.Content.Default != nil) {
			t.Errorf("%s: required %q and default %v", p.Name, p.Required, p.Content.Default)
		}
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name is there twice: %q", names)
	}
	for what, lists := range map[string][2][]string{
		"required":   {required, {"drbd_resource", "directory", "exports", "vips"}},
		"unique":     {unique, {"drbd_resource", "directory"}},
		"reloadable": {reloadable, {"exports", "nfs_threads", "vips", "report_degraded", "log_level"}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: %q, want %q", what, lists[0], lists[1])
		}
	}
}

// Ensure that every action that must be there is, that no two monitors have
// one interval (Pacemaker would take them for one), and that every action has
// a timeout.
func TestMetadataActions(t *testing.T) {
	var names []string
	intervals := map[string]bool{}
	for _, a := range metadata(t).Actions {
		names = append(names, a.Name)
		if n, err := strconv.Atoi(strings.TrimSuffix(a.Timeout, "s")); err != nil || n <= 0 {
			t.Errorf("%s: timeout %q", a.Name, a.Timeout)
		}
		if a.Name != "monitor" {
			if a != (actionTag{Name: a.Name, Timeout: a.Timeout}) {
				t.Errorf("%+v", a)
			}
			continue
		}
		if intervals[a.Interval] || a.Interval == "" {
			t.Errorf("interval %q of monitor is there twice or missing", a.Interval)
		}
		intervals[a.Interval] = true
		if a.Role != "Promoted" && a.Role != "Unpromoted" {
			t.Errorf("monitor in role %q", a.Role)
		}
	}
	slices.Sort(names)
	want := []string{"demote", "meta-data", "monitor", "notify", "promote", "reload-agent", "start", "stop", "validate-all"}
	if got := slices.Compact(names); !slices.Equal(got, want) {
		t.Errorf("actions %q, want %q", got, want)
	}
}

func TestMetadataXMLLint(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	cmd := exec.CommandContext(t.Context(), xmllint, "--nonet", "--noout", "-")
	cmd.Stdin = strings.NewReader(agent.Metadata().XML())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%s", err, out)
	}
}
