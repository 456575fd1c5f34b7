package version

import "testing"

// Ensure the version reads well with and without what the linker sets.
func TestString(t *testing.T) {
	for _, tt := range []struct {
		name, number, commit, want string
	}{
		{"bare go build", "", "", "devel"},
		{"package", "0.1.0-1.el8", "", "0.1.0-1.el8"},
		{"work tree", "0.1.0", "1f2e3d4", "0.1.0 (commit 1f2e3d4)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func(n, c string) { number, commit = n, c }(number, commit)
			number, commit = tt.number, tt.commit
			if got := String(); got != tt.want {
				t.Errorf("String() = %q, want %q", got, tt.want)
			}
		})
	}
}
