package nfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Dir is where nfs-utils keeps its state, compiled into its programs.
const Dir = "/var/lib/nfs"

// LocalDir is where the node's own state directory is kept once Dir is a
// symbolic link.
const LocalDir = "/var/lib/nfs.local"

// confPath is nfs-utils' configuration.
const confPath = "/etc/nfs.conf"

// defaultPipefs is the compiled-in place of rpc_pipefs. Debian's nfs.conf names
// /run/rpc_pipefs instead; EL8's names nothing.
const defaultPipefs = Dir + "/rpc_pipefs"

// statdDir returns the directory, relative to a state directory, that holds
// rpc.statd's sm, sm.bak and state: "statd" on EL, "." on Debian. It is the
// one difference in the layout of the two.
func statdDir(sys fileReader, dir string) (string, error) {
	st, err := sys.Stat(dir + "/statd")
	if errors.Is(err, fs.ErrNotExist) {
		return ".", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for rpc.statd's directory: %w", err)
	}
	if !st.IsDir() {
		return ".", nil
	}
	return "statd", nil
}

// newStatdDir is the same for a directory that is made anew, by the
// distribution.
func newStatdDir(sys fileReader) string {
	if _, err := sys.Stat("/etc/redhat-release"); err == nil {
		return "/statd"
	}
	return ""
}

type fileReader interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	Stat(path string) (fs.FileInfo, error)
}

// PipefsDir returns where rpc_pipefs belongs by /etc/nfs.conf, or the
// compiled-in place when the file is missing or names none.
func PipefsDir(sys fileReader) string {
	data, err := sys.ReadFile(confPath)
	if err != nil {
		return defaultPipefs
	}
	if dir, ok := confValue(string(data), "general", "pipefs-directory"); ok {
		return dir
	}
	return defaultPipefs
}

// CheckPipefs refuses a configuration in which rpc_pipefs lies below /var/lib/nfs:
// the mount would hide in a directory that is switched away, and systemd
// mounts nothing below a symbolic link, so that nfsdcld and idmapd would fail.
func CheckPipefs(sys fileReader) error {
	dir := PipefsDir(sys)
	if dir == Dir || strings.HasPrefix(dir, Dir+"/") {
		return fmt.Errorf("set pipefs-directory=/run/rpc_pipefs in [general] of %s: %s cannot lie below %s", confPath, dir, Dir)
	}
	return nil
}

// confValue finds a key in nfs.conf: sections in brackets, key = value, # and
// ; start comments, the last value counts, names ignore case.
func confValue(conf, section, key string) (value string, ok bool) {
	var current string
	for line := range strings.Lines(conf) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			current, _, _ = strings.Cut(line[1:], "]")
			current = strings.TrimSpace(current)
			continue
		}
		k, v, found := strings.Cut(line, "=")
		if found && strings.EqualFold(current, section) && strings.EqualFold(strings.TrimSpace(k), key) {
			value, ok = strings.Trim(strings.TrimSpace(v), `"`), true
		}
	}
	return value, ok
}
