package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

//go:embed completion/bash
var bashCompletion string

//go:embed completion/zsh
var zshCompletion string

//go:embed completion/fish
var fishCompletion string

// completionCommand is "drbdnfs completion", which prints what a shell reads.
func completionCommand(c console) *cli.Command {
	of := func(shell, text, how string) *cli.Command {
		return &cli.Command{
			Name: shell, Usage: "print the completion for " + shell, Description: "The package installs it. For this shell alone:\n\n   " + how,
			Action: func(cc *cli.Context) error { return printed(cc, c.out, text) },
		}
	}
	return group("completion", "completion of this command in a shell",
		of("bash", bashCompletion, "source <(drbdnfs completion bash)"),
		of("zsh", zshCompletion, "source <(drbdnfs completion zsh)"),
		of("fish", fishCompletion, "drbdnfs completion fish | source"))
}

// completeLimit bounds the look at the configuration file: the shell waits.
const completeLimit = 500 * time.Millisecond

// anyFile is printed in the place of words where the shell is to offer files.
const anyFile = ":files"

// completeCommand is "drbdnfs __complete WORD...", which the shells' completions
// run with the words of the line up to the cursor, the program first and the
// begun word last. It prints each word that fits with what it means, and
// neither says nor ends with an error.
func completeCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "__complete", Hidden: true, HideHelp: true, SkipFlagParsing: true,
		Action: func(cc *cli.Context) error {
			words := glued(cc.Args().Slice())
			if len(words) < 2 {
				return nil
			}
			found := make(chan []candidate, 1)
			go func() {
				l := newLine(cc.App.Commands, cc.App.VisibleFlags())
				found <- l.complete(words[1:], known)
			}()
			select {
			case list := <-found:
				printCandidates(c.out, list)
			case <-time.After(completeLimit):
			}
			return nil
		},
	}
}

func printCandidates(out io.Writer, list []candidate) {
	for _, w := range list {
		fmt.Fprintf(out, "%s\t%s\n", w.word, w.text)
	}
}

// glued joins what bash parts at "=": "--file", "=", "x" is a flag and its value.
func glued(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "=" })
}

// candidate is a word that may stand at the cursor.
type candidate struct{ word, text string }

// line is the command line as far as it has been read.
type line struct {
	commands []*cli.Command // that may follow
	global   []cli.Flag
	flags    []cli.Flag // of the command
	args     string     // the command's arguments as its help has them
	words    int        // of its arguments that are there
	file     string     // the configuration file
	value    cli.Flag   // the flag whose value comes next
	plain    bool       // after "--"
}

func newLine(commands []*cli.Command, global []cli.Flag) *line {
	return &line{commands: commands, global: global, file: config.DefaultFile}
}

// read takes a whole word of the line.
func (l *line) read(word string) {
	switch {
	case l.value != nil:
		l.set(l.value, word)
		l.value = nil
	case l.plain:
		l.words++
	case word == "--":
		l.plain = true
	case strings.HasPrefix(word, "-"):
		name, value, whole := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if f := l.flag(name); f != nil && whole {
			l.set(f, value)
		} else if f != nil && takesValue(f) {
			l.value = f
		}
	default:
		l.descend(word)
	}
}

// descend takes a word that is a command or an argument.
func (l *line) descend(word string) {
	i := slices.IndexFunc(l.commands, func(cmd *cli.Command) bool { return l.words == 0 && cmd.HasName(word) })
	if i < 0 {
		l.words++
		return
	}
	cmd := l.commands[i]
	l.flags, l.args = cmd.VisibleFlags(), cmd.ArgsUsage
	if !cmd.HasName("help") {
		l.commands = cmd.Subcommands // help is followed by what it stands among
	}
}

// set remembers the one value that decides what else is offered.
func (l *line) set(f cli.Flag, value string) {
	if slices.Contains(f.Names(), flagFile) {
		l.file = value
	}
}

// flag is the flag of that name where the line is, nil if there is none.
func (l *line) flag(name string) cli.Flag {
	for _, f := range slices.Concat(l.flags, l.global) {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// complete reads words and returns what the last of them, which may be "", can
// become. Offers returns the words for a placeholder, such as NODE, and the
// configuration file.
func (l *line) complete(words []string, offers func(placeholder, file string) []string) []candidate {
	for _, w := range words[:len(words)-1] {
		l.read(w)
	}
	begun := words[len(words)-1]
	all := l.offered(begun, offers)
	if len(all) == 1 && all[0].word == anyFile {
		return all
	}
	fits := slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, begun) })
	slices.SortFunc(fits, func(a, b candidate) int { return strings.Compare(a.word, b.word) })
	return slices.CompactFunc(fits, func(a, b candidate) bool { return a.word == b.word })
}

func (l *line) offered(begun string, offers func(placeholder, file string) []string) []candidate {
	var out []candidate
	add := func(prefix, placeholder string) {
		for _, w := range offers(placeholder, l.file) {
			if w != anyFile {
				w = prefix + w
			}
			out = append(out, candidate{word: w, text: strings.ToLower(placeholder)})
		}
	}
	if l.value != nil {
		add("", placeholder(l.value))
		return out
	}
	if strings.HasPrefix(begun, "-") && !l.plain {
		name, _, whole := strings.Cut(strings.TrimLeft(begun, "-"), "=")
		if f := l.flag(name); whole && f != nil {
			add(begun[:strings.Index(begun, "=")+1], placeholder(f))
			return out
		}
		return l.offeredFlags()
	}
	if l.words == 0 {
		for _, cmd := range l.commands {
			if !cmd.Hidden {
				out = append(out, candidate{cmd.Name, cmd.Usage})
			}
		}
	}
	add("", argument(l.args, l.words))
	return out
}

func (l *line) offeredFlags() []candidate {
	out := []candidate{{"--help", "show help"}}
	for _, f := range slices.Concat(l.flags, l.global) {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		for _, name := range f.Names() {
			if len(name) > 1 {
				out = append(out, candidate{"--" + name, strings.ReplaceAll(d.GetUsage(), "`", "")})
			}
		}
	}
	return out
}

// placeholder is the word in `backquotes` in a flag's usage, "" without one.
func placeholder(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	_, rest, _ := strings.Cut(d.GetUsage(), "`")
	word, _, _ := strings.Cut(rest, "`")
	return word
}

// argument is the placeholder of argument n of a command whose help has
// "RESOURCE [NODE]" or "NAME...", "" when there is none.
func argument(usage string, n int) string {
	words := strings.Fields(usage)
	if len(words) == 0 {
		return ""
	}
	last := words[len(words)-1]
	if n >= len(words) && !strings.Contains(last, "...") {
		return ""
	}
	return strings.Trim(words[min(n, len(words)-1)], "[].")
}

// known are the words for a placeholder, as far as they can be known without
// running anything: from the configuration file, which may be missing.
func known(placeholder, file string) []string {
	switch placeholder {
	case "FILE", "DIR", "DIRECTORY":
		return []string{anyFile}
	case "STAGE":
		return []string{setup.Host, setup.LINSTOR, setup.DRBDADM, setup.Filesystem, setup.Cluster, setup.CIB, setup.Sync}
	case "NODE", "RESOURCE":
		cfg := readable(file)
		if cfg == nil {
			return nil
		}
		if placeholder == "RESOURCE" {
			return []string{cfg.Resource.Name}
		}
		var names []string
		for _, n := range cfg.Nodes {
			names = append(names, n.Name)
		}
		return names
	}
	return nil
}

// readable is the configuration, or nil when it is not a file that passes the
// check.
func readable(file string) *config.Config {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	cfg, err := config.Parse(file, data)
	if err != nil {
		return nil
	}
	return cfg
}
