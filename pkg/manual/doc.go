// Package manual writes manual pages in roff, in the macros of man(7), which
// man-db, mandoc and EL8's groff 1.22 all know.
//
//	p := manual.Page{Name: "drbdnfs", Section: 8, Short: "a highly available NFS server on DRBD"}
//	p.Head("SYNOPSIS")
//	p.Text("`drbdnfs` [`--file` FILE] COMMAND")
//	p.Head("COMMANDS")
//	p.Commands(app) // each command of a [cli.App] with its flags
//	p.Roff("0.1.0", time.Time{})
//
// Texts are given as the code has them for its own help: paragraphs between
// empty lines, with lines that are indented left as they are, and `words` in
// backquotes as they are typed. The same page gives the same bytes.
package manual
