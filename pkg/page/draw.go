package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/status"
)

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// policy lets the page's own style and script act, and the script ask where the
// page came from. Icons are data.
var policy = "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
	"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"age":     age,
	"bytes":   func(n int64) string { return snapshot.Bytes(n).String() },
	"changed": changed,
	"diskOK":  diskOK,
	"iso":     func(t time.Time) string { return t.Format(time.RFC3339) },
	"known":   func(s string) string { return cmp.Or(s, "not known") },
	"linked":  func(c drbd.ConnectionState) bool { return c == "" || c == drbd.ConnConnected },
	"list":    func(l []string) string { return strings.Join(l, ", ") },
	"stall":   stall,
	"wrong":   wrong,
	"yes":     func(t drbd.Tri) bool { return t == drbd.Yes },
	"no":      func(t drbd.Tri) bool { return t == drbd.No },
	"when":    func(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST") },
	"word":    word,
	"mark":    mark,
	"ok":      func(ok bool, text string) state { return state{ok, text} },
}).Parse(document))

// state is a word that is as it should be, or not.
type state struct {
	OK   bool
	Text string
}

// view is what the document is made from.
type view struct {
	status.Picture
	Seen  bool // there is a picture
	CSS   template.CSS
	JS    template.JS
	Level string
}

// draw is a picture in both forms.
func draw(p status.Picture) (*result, error) {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("picture as JSON: %w", err)
	}
	page, err := execute(view{Picture: p, Seen: true, Level: string(p.Level)})
	if err != nil {
		return nil, err
	}
	return &result{html: page, json: append(text, '\n')}, nil
}

// withoutPicture is the page that says why there is none.
func withoutPicture(why error) []byte {
	page, err := execute(view{Picture: status.Picture{Headline: why.Error()}, Level: "unknown"})
	if err != nil {
		return []byte(template.HTMLEscapeString(why.Error()))
	}
	return page
}

func execute(v view) ([]byte, error) {
	v.CSS, v.JS = template.CSS(style), template.JS(script)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	return b.Bytes(), nil
}

// word is a level or a severity for people.
func word(s string) string {
	switch s {
	case "":
		return "Not known"
	case "unknown":
		return "Not seen"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// mark is what shows a level or a severity to who sees no colours.
func mark(s string) string {
	switch s {
	case string(status.Healthy):
		return "✓"
	case string(status.Degraded), string(status.Warning):
		return "!"
	case string(status.Down), string(status.Critical):
		return "✕"
	case string(status.Notice):
		return "i"
	}
	return "?"
}

// wrong reports whether something is the matter, rather than only to be known.
func wrong(list []status.Finding) bool {
	return slices.ContainsFunc(list, func(f status.Finding) bool { return f.Severity != status.Notice })
}

// diskOK reports whether the disk of a node is as it should be, or not known.
func diskOK(n status.Node) bool {
	return n.Disk == drbd.DiskUpToDate || n.Diskless && n.Disk == drbd.DiskDiskless || n.Seen == status.SeenNobody
}

// age is the time from then to now in its two largest units; of more than an
// hour only as many minutes, so that it does not change all the time.
func age(now, then time.Time) string {
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// stall is a time without service, "" where it is not known.
func stall(ms int64) string {
	if ms <= 0 {
		return ""
	}
	d := time.Duration(ms) * time.Millisecond
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

// changed is how much a side of a split brain has written.
func changed(n int64) string {
	if n < 0 {
		return "not known"
	}
	return snapshot.Bytes(n).String()
}
