package docs

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/test/docs/blocks"
)

// command is one of drbdnfs as its help shows it.
type command struct {
	sub   map[string]*command
	flags map[string]bool // with "-" or "--"; true takes a value
}

var (
	// aSubcommand is a line of a help's COMMANDS.
	aSubcommand = regexp.MustCompile(`^   ([a-z][a-z-]*)(?:, [a-z]+)*(?:  |$)`)
	// anOption is one spelling in a line of a help's OPTIONS, with its value.
	anOption = regexp.MustCompile(`^(?:   |, )(--?[a-z][a-z-]*)( [A-Z][A-Z-]*| value)?(?: \[ [^\]]*\])?`)
)

// options reads the spellings of an option from a line of help.
func (c *command) options(line string) {
	for {
		m := anOption.FindStringSubmatch(line)
		if m == nil {
			return
		}
		c.flags[m[1]] = m[2] != ""
		line = line[len(m[0]):]
	}
}

// walk asks a program for the help of a command and all below it.
func walk(t *testing.T, program string, path ...string) *command {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, append(slices.Clone(path), "--help")...).Output()
	if err != nil {
		t.Fatalf("drbdnfs %s --help: %v", strings.Join(path, " "), err)
	}
	c := &command{sub: map[string]*command{}, flags: map[string]bool{"--help": false, "-h": false}}
	section := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, " \n")
		switch m := aSubcommand.FindStringSubmatch(line); {
		case line != "" && line[0] != ' ':
			section = strings.TrimSuffix(line, ":")
		case section == "COMMANDS" && m != nil && m[1] == "help":
			c.sub["help"] = &command{}
		case section == "COMMANDS" && m != nil:
			c.sub[m[1]] = walk(t, program, append(slices.Clone(path), m[1])...)
		case strings.HasSuffix(section, "OPTIONS"):
			c.options(line)
		}
	}
	return c
}

// check looks whether the words of a command line exist.
func (c *command) check(words []string, inherited map[string]bool) error {
	for i := 0; i < len(words); i++ {
		word, _, hasValue := strings.Cut(words[i], "=")
		value, own := c.flags[word]
		if !own {
			value, own = inherited[word]
		}
		switch sub := c.sub[word]; {
		case strings.HasPrefix(word, "-") && !own:
			return fmt.Errorf("there is no option %s", word)
		case strings.HasPrefix(word, "-"):
			if value && !hasValue {
				i++
			}
		case sub != nil:
			return sub.check(words[i+1:], inherited)
		case len(c.sub) > 0:
			return fmt.Errorf("there is no command %q", word)
		}
	}
	return nil
}

var (
	// mention is drbdnfs with its words in a code span or a block, up to what the
	// shell makes of the rest. Behind -t it is journalctl's word.
	mention = regexp.MustCompile("(?:^|[ (`]|(-t ))drbdnfs ((?:[^`|;&>#()\\\\]|\\\\\n)+)")
	span    = regexp.MustCompile("`[^`\n]+`")
)

// mentions are the command lines of drbdnfs in a document: those in its blocks of
// commands, and in code spans of its text.
func mentions(t *testing.T, file string) []string {
	t.Helper()
	texts := span.FindAllString(read(t, file), -1)
	for _, b := range parsed(t, file) {
		switch b.Lang {
		case blocks.Console:
			list, err := b.Commands()
			if err != nil {
				t.Error(err)
			}
			for _, c := range list {
				texts = append(texts, c.Text)
			}
		case blocks.Shell:
			texts = append(texts, strings.Split(b.Text, "\n")...)
		}
	}
	var found []string
	for _, text := range texts {
		for _, m := range mention.FindAllStringSubmatch(text, -1) {
			if m[1] == "" {
				found = append(found, strings.TrimSpace(m[2]))
			}
		}
	}
	return found
}

// Ensure that each command and option of drbdnfs that a document names exists, by
// the program's own help.
func TestCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "drbdnfs")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/drbdnfs")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build drbdnfs: %v\n%s", err, out)
	}
	root := walk(t, program)
	if root.sub["setup"] == nil || !root.sub["setup"].sub["plan"].flags["--stage"] || !root.flags["-f"] {
		t.Fatalf("the help is not understood: %+v", root)
	}
	seen := 0
	for _, file := range documents(t) {
		for _, m := range mentions(t, file) {
			seen++
			if err := root.check(strings.Fields(m), root.flags); err != nil {
				t.Errorf("%s: drbdnfs %s: %v", filepath.Base(file), m, err)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d mentions of drbdnfs were found, there are more", seen)
	}
}
