// Package packaging holds the tests of what the package installs besides its
// programs: that the journal's catalog has every message of the code, that
// systemd accepts catalog and units, and that the change log begins with the
// version that is built.
//
// The package itself is looked at by scripts/check-rpm, which builds it.
package packaging
