package admin

import (
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// UsermodeHelper tells whether the kernel calls DRBD's handlers, such as
// split-brain and fence-peer. It reads the module's parameter; without the module
// it is unknown.
func (a *Admin) UsermodeHelper() drbd.Tri {
	data, err := a.m.ReadFile("/sys/module/drbd/parameters/usermode_helper")
	switch {
	case err != nil:
		return drbd.Unknown
	case strings.TrimSpace(string(data)) == "disabled":
		return drbd.No
	}
	return drbd.Yes
}
