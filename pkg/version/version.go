package version

// Set by the linker: -X github.com/spacei/drbdnfs/pkg/version.number=0.1.0.
// Nothing in the program writes them.
var (
	number string
	commit string
)

// Number returns the bare version, such as "0.1.0" for a build from the tree
// and "0.1.0-1.el8" for one from the RPM, or "devel" when the build set none.
func Number() string {
	if number == "" {
		return "devel"
	}
	return number
}

// Commit returns the commit of a build from the work tree, or "".
func Commit() string { return commit }

// String returns [Number] and, where the build knew it, the commit: "0.1.0
// (commit 1f2e3d4)". The RPM has no commit in it, so that two builds of the
// same source are the same bytes.
func String() string {
	if commit == "" {
		return Number()
	}
	return Number() + " (commit " + commit + ")"
}
