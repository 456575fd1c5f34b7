// Package edit changes configuration files that belong to somebody else: text
// in, text out, every other byte as it was. What it writes can be recognised
// and taken out again, so that setup needs no record beside the file:
//
//	hosts, err := edit.SetBlock(hosts, "192.168.2.62 drbdtest2\n")   // between "# drbdnfs begin" and "# drbdnfs end"
//	hosts, err = edit.RemoveBlock(hosts)                             // the original
//	conf, err := edit.SetKey(conf, "general", "pipefs-directory", "/run/rpc_pipefs")
//
// Doing something twice is doing it once. A file whose marks are damaged is an
// error and stays as it is: a person has been there. The package is pure; it is
// used by package node of setup.
package edit
