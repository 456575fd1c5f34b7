package edit

import "strings"

// eol returns the line end that text uses, by its first line.
func eol(text string) string {
	i := strings.IndexByte(text, '\n')
	return endOf(text[:i+1])
}

// endOf returns the end of a line, "\n" where it has none.
func endOf(line string) string {
	if strings.HasSuffix(line, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// lines splits text into lines that keep their ends; the last one may have none.
func lines(text string) []string {
	var out []string
	for l := range strings.Lines(text) {
		out = append(out, l)
	}
	return out
}

// content returns a line without its end and the blanks around it.
func content(line string) string { return strings.TrimSpace(line) }

// withEnds writes body with the line end e, and one at the end.
func withEnds(body, e string) string {
	body = strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), "\n")
	if body == "" {
		return ""
	}
	return strings.ReplaceAll(body, "\n", e) + e
}
