// Package version holds the version that the build puts into each binary.
//
// The one source is the Version line of drbdnfs.spec: the Makefile and the
// spec file itself pass it on with the linker's -X flag. A binary that a bare
// go build made has none and says "devel".
//
//	fmt.Println(version.String()) // 0.1.0 (commit 1f2e3d4)
//
// Every binary may import this package: it needs nothing but the language.
package version
