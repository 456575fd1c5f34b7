package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spacei/drbdnfs/pkg/host"
)

// EtabPath is the table of exports that exportfs writes and mountd reads.
const EtabPath = Dir + "/etab"

// exportSystem is what ApplyExports needs of the machine.
type exportSystem interface {
	fileReader
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
}

// ApplyExports offers want and withdraws those of drop that are not in it, in
// this order, so that a directory stays exported while its options change.
// /etc/exports is not read (exportfs -i). One run of exportfs serves all
// clients of a directory with the same options.
func ApplyExports(ctx context.Context, sys exportSystem, want, drop []Export) error {
	for _, e := range want {
		if st, err := sys.Stat(e.Path); errors.Is(err, fs.ErrNotExist) || err == nil && !st.IsDir() {
			return fmt.Errorf("make the directory %s, or take it out of exports: it is not on the volume", e.Path)
		} else if err != nil {
			return fmt.Errorf("export %s: %w", e.Path, err)
		}
	}
	for _, args := range exportArgs(want) {
		if _, err := sys.Run(ctx, host.Cmd{Op: "nfs.export", Name: "exportfs", Args: args}); err != nil {
			return err
		}
	}
	if len(drop) == 0 {
		return nil
	}
	etab, err := sys.ReadFile(EtabPath)
	if err != nil {
		return fmt.Errorf("read export table: %w", err)
	}
	for _, e := range drop {
		// What is gone already would be an error of exportfs.
		if containsTarget(want, e) || len(Missing([]Export{e}, string(etab))) > 0 {
			continue
		}
		_, err := sys.Run(ctx, host.Cmd{Op: "nfs.unexport", Name: "exportfs", Args: []string{"-u", "--", e.target()}})
		if err != nil {
			return err
		}
	}
	return nil
}

// exportArgs groups exports with the same options into one call each, in the
// order of their first appearance.
func exportArgs(exports []Export) [][]string {
	var calls [][]string
	index := map[string]int{}
	for _, e := range exports {
		options := strings.Join(e.Options, ",")
		i, ok := index[options]
		if !ok {
			i = len(calls)
			index[options] = i
			calls = append(calls, []string{"-i", "-o", options, "--"})
		}
		calls[i] = append(calls[i], e.target())
	}
	return calls
}

func containsTarget(exports []Export, e Export) bool {
	for _, x := range exports {
		if x.target() == e.target() {
			return true
		}
	}
	return false
}

func isBusy(err error) bool { return errors.Is(err, syscall.EBUSY) }
