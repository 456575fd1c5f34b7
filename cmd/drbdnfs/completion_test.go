package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

// fixedApp is a command tree with each thing that a line may hold.
func fixedApp() *cli.App {
	return &cli.App{
		Name: "drbdnfs",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "configuration `FILE`"},
			&cli.BoolFlag{Name: "debug", Usage: "log more"},
		},
		Commands: []*cli.Command{
			{Name: "move", Usage: "move the group", ArgsUsage: "[NODE]"},
			{Name: "secret", Hidden: true},
			{Name: "setup", Usage: "set up", Subcommands: []*cli.Command{
				{Name: "apply", Usage: "do it", Flags: []cli.Flag{
					&cli.StringSliceFlag{Name: "stage", Usage: "only this `STAGE`"}, &cli.BoolFlag{Name: "yes", Usage: "do not ask"},
					&cli.StringFlag{Name: "hidden", Hidden: true},
				}},
				{Name: "plan", Usage: "look"},
			}},
			{Name: "resolve", Usage: "resolve", ArgsUsage: "RESOURCE NODE..."},
			{Name: "help", Aliases: []string{"h"}, Usage: "help", ArgsUsage: "[command]"},
		},
	}
}

// Ensure that zsh knows by the first line what the function is for.
func TestZshCompdef(t *testing.T) {
	if !strings.HasPrefix(zshCompletion, "#compdef drbdnfs\n") {
		t.Errorf("the file begins %.40q", zshCompletion)
	}
}

// Ensure that each place of a line is offered what may stand there, and nothing
// else.
func TestComplete(t *testing.T) {
	offers := func(placeholder, file string) []string {
		switch placeholder {
		case "NODE":
			return []string{"node2", "node1", "of-" + file}
		case "RESOURCE":
			return []string{"res0"}
		case "STAGE":
			return []string{"cib", "host"}
		case "FILE":
			return []string{anyFile}
		}
		return nil
	}
	const nodes = "node1 node2 of-/etc/drbdnfs/drbdnfs.toml"
	for _, tt := range []struct{ name, line, want string }{
		{"commands", "|", "help move resolve setup"},
		{"begun command", "mo|", "move"},
		{"no such command", "xy|", ""},
		{"flags", "-|", "--debug --file --help"},
		{"subcommands", "setup |", "apply plan"},
		{"flags of a subcommand and of all", "setup apply --|", "--debug --file --help --stage --yes"},
		{"no arguments", "setup apply |", ""},
		{"nothing behind a wrong subcommand", "setup appl |", ""},
		{"value of a flag", "setup apply --stage |", "cib host"},
		{"value in the same word", "setup apply --stage=h|", "--stage=host"},
		{"value as bash parts it", "setup apply --stage = h|", "host"},
		{"after a value", "setup apply --stage host --y|", "--yes"},
		{"after a flag without a value", "setup --debug |", "apply plan"},
		{"file", "-f |", anyFile},
		{"begun file", "--file=/etc/|", anyFile},
		{"command after a file", "-f x.toml mo|", "move"},
		{"argument", "move |", nodes},
		{"begun argument", "move node2|", "node2"},
		{"one argument only", "move node1 |", ""},
		{"argument with the file before", "-f a move of|", "of-a"},
		{"argument with the file behind", "move --file=b of|", "of-b"},
		{"first argument", "resolve |", "res0"},
		{"second argument", "resolve res0 node|", "node1 node2"},
		{"and so on", "resolve res0 node1 node|", "node1 node2"},
		{"after two dashes", "resolve -- res0 node|", "node1 node2"},
		{"no flags after two dashes", "resolve -- -|", ""},
		{"help", "help set|", "setup"},
		{"unknown flag", "--what |", "help move resolve setup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := strings.TrimSuffix(tt.line, "|")
			app := fixedApp()
			list := newLine(app.Commands, app.VisibleFlags()).complete(glued(strings.Split(line, " ")), offers)
			var got []string
			for _, c := range list {
				got = append(got, c.word)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

// undecided are placeholders whose values nobody can know beforehand, or not
// without running a program.
var undecided = []string{"", "TIME", "SIZE", "NAME", "command", "N", "ID", "DURATION", "POLICY", "WHEN", "ADDRESS", "URL", "SECONDS", "TEXT"}

// Ensure that somebody has thought of the completion of each argument and each
// value of a flag.
func TestCompletionPlaceholders(t *testing.T) {
	file := decided(t)
	for path, cmd := range commands(newApp(console{}).Commands, "") {
		if cmd.Hidden {
			continue
		}
		words := []string{}
		for i := range strings.Fields(cmd.ArgsUsage) {
			words = append(words, argument(cmd.ArgsUsage, i))
		}
		for _, f := range cmd.VisibleFlags() {
			if takesValue(f) {
				words = append(words, placeholder(f))
			}
		}
		for _, w := range words {
			if known(w, file) == nil && !slices.Contains(undecided, w) {
				t.Errorf("drbdnfs %s: nothing is offered for %s: teach known, or add it to undecided", path, w)
			}
		}
	}
}

// commands are all commands with what is typed for them.
func commands(list []*cli.Command, prefix string) map[string]*cli.Command {
	out := map[string]*cli.Command{}
	for _, cmd := range list {
		out[prefix+cmd.Name] = cmd
		maps.Copy(out, commands(cmd.Subcommands, prefix+cmd.Name+" "))
	}
	return out
}

// decided is a configuration file that passes the check.
func decided(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "drbdnfs.toml")
	if err := os.WriteFile(file, []byte(parse(t, "linstor").Show()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Ensure that a file that is missing, broken, or never ends offers nothing, and
// is not waited for.
func TestKnownWithoutConfiguration(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.toml")
	if err := os.WriteFile(broken, []byte("cluster = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/missing", broken, "/dev/zero", "/"} {
		if got := known("NODE", file); got != nil {
			t.Errorf("%s: offered %v", file, got)
		}
	}
	if got := known("NODE", decided(t)); !slices.Equal(got, []string{"drbdtest1", "drbdtest2"}) {
		t.Errorf("nodes %v", got)
	}
}

// Ensure that the hidden command prints words alone, whatever it is given, and
// ends well.
func TestCompleteCommand(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"drbdnfs"},
		{"drbdnfs", ""},
		{"drbdnfs", "--help", ""},
		{"drbdnfs", "-f"},
		{"drbdnfs", "setup", "--stage", "x", "--", "-y", ""},
		{"drbdnfs", "=", "=", ""},
		{"help", "h", ""},
	} {
		var out, errs strings.Builder
		c := console{in: strings.NewReader(""), out: &out, err: &errs}
		if code := run(t.Context(), c, append([]string{"drbdnfs", "__complete"}, args...)); code != 0 || errs.Len() > 0 {
			t.Errorf("%q: ends with %d, says %s", args, code, errs.String())
		}
		for l := range strings.Lines(out.String()) {
			if word, text, ok := strings.Cut(l, "\t"); !ok || word == "" || strings.ContainsAny(word, " `") || text == "\n" {
				t.Errorf("%q: line %q", args, l)
			}
		}
	}
}

// shells type a line, ask for completion, and print the words, one a line.
var shells = map[string]struct {
	argv   []string
	script string
}{
	"bash": {[]string{"bash", "--noprofile", "--norc", "-c"}, `
source <(drbdnfs completion bash)
compopt() { echo "compopt $*"; }
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"${1//=/ = }"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_drbdnfs drbdnfs "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"`},
	"fish": {[]string{"fish", "--no-config", "-c"}, `
drbdnfs completion fish | source
complete -C "$argv[1]" | string split -f 1 \t`},
	// zsh completes on a terminal alone: one is made, and what the function
	// would offer is written to a file there. compinit, which reads hundreds of
	// functions, is done without.
	"zsh": {[]string{"zsh", "-f", "-c"}, `
zmodload zsh/zpty zsh/zselect
zpty z zsh -f -i
zpty -w z 'PS1=; fpath=($COMPLETIONS); autoload -Uz _drbdnfs; zle -C drbdnfs complete-word _drbdnfs; bindkey "^I" drbdnfs'
zpty -w z '_describe() { print -rl -- ${${(P)2}%%:*} end > $COMPLETIONS/out }; _files() { print -rl -- :files $PREFIX end > $COMPLETIONS/out }'
zpty -n -w z "$1"$'\t'
for i in {1..2000}; do grep -qs '^end$' $COMPLETIONS/out && break; zpty -r -t z line; zselect -t 1; done
sed '/^end$/d' $COMPLETIONS/out
zpty -d z`},
}

// Ensure that real shells offer what the command has for a line.
func TestShells(t *testing.T) {
	for name, shell := range shells {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("%s is not installed: scripts/install-deps check", name)
			continue
		}
		for _, tt := range []struct {
			line string
			want []string
		}{
			{"drbdnfs setup ", []string{"apply", "plan", "remove"}},
			{"drbdnfs setup apply --no", []string{"--no-sync"}},
			{"drbdnfs --debug setup apply --stage h", []string{"host"}},
		} {
			t.Run(name+"/"+strings.ReplaceAll(tt.line, " ", "_"), func(t *testing.T) {
				if got := typed(t, shell.argv, shell.script, tt.line); !slices.Equal(got, tt.want) {
					t.Errorf("%q offers %q, want %q", tt.line, got, tt.want)
				}
			})
		}
	}
}

func typed(t *testing.T, argv []string, script, line string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "_drbdnfs"), []byte(zshCompletion), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append(slices.Clone(argv[1:]), script)
	if argv[0] != "fish" {
		args = append(args, argv[0])
	}
	cmd := exec.CommandContext(t.Context(), argv[0], append(args, line)...)
	cmd.Env = append(os.Environ(), "COMPLETIONS="+dir, "HOME="+dir, "TERM=xterm")
	cmd.WaitDelay = 10 * time.Second
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", argv[0], err, out, errs.String())
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	return got
}
