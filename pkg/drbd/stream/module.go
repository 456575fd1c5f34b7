package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// ErrModuleNotLoaded reports that DRBD's kernel module is not loaded: there are
// no resources. ErrModuleReloaded reports that it was unloaded and loaded again
// behind the child's back.
var (
	ErrModuleNotLoaded = errors.New("DRBD's kernel module is not loaded")
	ErrModuleReloaded  = errors.New("DRBD's kernel module was loaded anew")
)

// module is one loading of DRBD's kernel module.
type module struct {
	version drbd.Version
	// inode is that of its directory in sysfs, which the kernel numbers anew
	// with each loading (fs/kernfs/dir.c, cyclic ids); 0 is not known.
	inode uint64
}

// look returns the module that is loaded now, or [ErrModuleNotLoaded]. It
// loads nothing.
func look(h machine) (module, error) {
	data, err := h.ReadFile("/proc/drbd")
	if errors.Is(err, fs.ErrNotExist) {
		return module{}, ErrModuleNotLoaded
	}
	if err != nil {
		return module{}, fmt.Errorf("version of DRBD: %w", err)
	}
	v, err := drbd.ParseProcVersion(data)
	if err != nil {
		return module{}, fmt.Errorf("/proc/drbd: %w", err)
	}
	m := module{version: v}
	if st, err := h.Stat("/sys/module/drbd"); err == nil { // without it a quick reload goes unseen
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			m.inode = sys.Ino
		}
	}
	return m, nil
}

// changed returns why m, under which a child was started, is not what the child
// follows any more, or nil.
func (m module) changed(h machine) error {
	now, err := look(h)
	switch {
	case errors.Is(err, ErrModuleNotLoaded):
		return err
	case err == nil && now != m:
		return ErrModuleReloaded
	}
	return nil // what cannot be read now may be next time
}
