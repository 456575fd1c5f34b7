package manual

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// Commands adds every command of app that is not hidden, each with its text and
// its flags, in the order of its help. A description that a command has from
// the group above it is not repeated.
func (p *Page) Commands(app *cli.App) { p.commands(app.Name, app.Commands, "") }

func (p *Page) commands(prefix string, list []*cli.Command, above string) {
	for _, cmd := range list {
		if cmd.Hidden || cmd.HasName("help") {
			continue
		}
		name := prefix + " " + cmd.Name
		title := "`" + name + "`"
		if len(cmd.VisibleFlags()) > 0 {
			title += " [OPTION...]"
		}
		if cmd.ArgsUsage != "" {
			title += " " + cmd.ArgsUsage
		}
		p.Sub(title)
		p.Text(sentence(cmd.Usage))
		if cmd.Description != above && cmd.Description != "" {
			p.Text(cmd.Description)
		}
		p.Flags(cmd.VisibleFlags())
		p.commands(name, cmd.Subcommands, cmd.Description)
	}
}

// Flags adds flags, each with its default where it has one.
func (p *Page) Flags(flags []cli.Flag) {
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		var names []string
		for _, n := range f.Names() {
			if len(n) == 1 {
				names = slices.Insert(names, 0, "`-"+n+"`")
			} else {
				names = append(names, "`--"+n+"`")
			}
		}
		tag, text := strings.Join(names, ", "), d.GetUsage()
		if d.TakesValue() {
			value := "VALUE"
			if parts := strings.SplitN(text, "`", 3); len(parts) == 3 {
				value = parts[1]
			}
			tag += " " + value
		}
		text = sentence(strings.ReplaceAll(text, "`", ""))
		if v := written(d.GetValue()); d.TakesValue() && v != "" {
			text += " The default is " + v + "."
		}
		p.Item(tag, text)
	}
}

// written is a default as one would write it: "1h", not Go's "1h0m0s". It is ""
// where the flag has none.
func written(value string) string {
	if value == "0" || value == "0s" || value == "false" || value == "[]" {
		return ""
	}
	if v, ok := strings.CutSuffix(value, "m0s"); ok {
		value = v + "m"
	}
	if v, ok := strings.CutSuffix(value, "h0m"); ok {
		value = v + "h"
	}
	return value
}

// sentence makes one of a usage text, which begins small and has no stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	r, n := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(r)) + text[n:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
