package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/version"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Stream(ctx context.Context, c host.Cmd, read func(stdout io.Reader) error) error
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	Lstat(path string) (fs.FileInfo, error)
}

var _ machine = (*host.Host)(nil)

// Fetch returns what another way than a program or a file gives.
type Fetch func(ctx context.Context) ([]byte, error)

// Options say what is collected. Machine, Self, Now and Since are needed.
type Options struct {
	Machine    machine
	Config     *config.Config // nil where the file cannot be used
	ConfigFile string         // the file itself; the default place when empty
	Self       string         // this node's name
	Now        time.Time      // becomes part of the names
	Since      time.Time      // of journals
	Metrics    Fetch          // the daemon's metrics; nil where they are not on the loopback
	Secrets    []string       // values that must not be in it, beside those of Config
}

// Limits of the whole.
const (
	wholeTime  = 60 * time.Second
	sourceTime = 20 * time.Second
	wholeLimit = 64 << 20 // bytes, before compression
	workers    = 6
	grace      = 2 * time.Second // for a program to end after it was told to
)

// File is one line of the manifest.
type File struct {
	Name       string `json:"name"`
	Source     string `json:"source"`
	Exit       *int   `json:"exit_code,omitempty"` // of a program that ended badly
	Error      string `json:"error,omitempty"`
	Size       int    `json:"size"`
	Cut        int64  `json:"cut_bytes"` // left out: of logs at the front, otherwise at the end
	Redactions int    `json:"redactions"`
	TookMS     int64  `json:"took_ms"`

	data    []byte
	entries []entry
}

// Bundle is what was collected. What is in it is bounded and holds no secrets that
// this package knows of.
type Bundle struct {
	Folder string    `json:"folder"`
	Node   string    `json:"node"`
	Made   time.Time `json:"made"`
	Since  time.Time `json:"since"`
	By     string    `json:"drbdnfs"` // version
	Others []string  `json:"other_nodes"`
	Files  []*File   `json:"files"`
}

// collector is one run of Collect.
type collector struct {
	o      Options
	redact *redactor
}

// Collect reads everything. It changes nothing, has no errors, and returns after a
// minute at the latest: what has not answered by then is noted.
func Collect(ctx context.Context, o Options) *Bundle {
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	c := &collector{o: o, redact: newRedactor(o.Config, o.Secrets...)}
	b := &Bundle{
		Folder: folder(o.Self, o.Now), Node: o.Self, Made: o.Now.UTC(), Since: o.Since.UTC(), By: version.String(), Others: []string{},
	}
	if o.Config != nil {
		for _, n := range o.Config.Nodes {
			if n.Name != o.Self {
				b.Others = append(b.Others, n.Name)
			}
		}
	}
	list := c.sources()
	b.Files = make([]*File, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, workers)
	for i, s := range list {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			b.Files[i] = c.collect(ctx, s)
		})
	}
	wg.Wait()
	b.Files = append([]*File{timeline(b.Files)}, b.Files...)
	b.bound(wholeLimit)
	return b
}

// collect reads one source, for a bounded time. The goroutine stays behind what
// never answers, as a program does that waits for a disk, and ends with this
// program.
func (c *collector) collect(ctx context.Context, s source) *File {
	start := time.Now()
	f := &File{Name: s.name, Source: s.what()}
	if err := ctx.Err(); err != nil {
		f.Error = "not looked at: the time was over"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, sourceTime)
	defer cancel()
	done := make(chan *File, 1)
	go func() { done <- c.read(ctx, s) }()
	select {
	case f = <-done:
	case <-ctx.Done():
		select {
		case f = <-done:
		case <-time.After(grace):
			f.Error = "no answer"
		}
	}
	f.TookMS = time.Since(start).Milliseconds()
	return f
}

// read is collect without a bound.
func (c *collector) read(ctx context.Context, s source) *File {
	f := &File{Name: s.name, Source: s.what()}
	take := func(r io.Reader) error { return c.take(f, s, r) }
	var err error
	switch {
	case s.argv != nil:
		err = c.o.Machine.Stream(ctx, host.Cmd{Op: "bundle." + s.argv[0], Name: s.argv[0], Args: s.argv[1:]}, take)
	case s.fetch != nil:
		err = readAll(func() ([]byte, error) { return s.fetch(ctx) }, take)
	default:
		err = readAll(func() ([]byte, error) { return c.o.Machine.ReadFile(s.file) }, s.unpacked(take))
	}
	c.note(f, err)
	c.clean(f, s.kind)
	return f
}

// note writes down how a source ended.
func (c *collector) note(f *File, err error) {
	var ee *host.ExitError
	switch {
	case err == nil:
	case errors.As(err, &ee):
		f.Exit, f.Error = &ee.Code, ee.Stderr
	case errors.Is(err, fs.ErrNotExist):
		f.Error = "there is no such file"
	default:
		f.Error = err.Error()
	}
	clean, n := c.redact.text([]byte(f.Error))
	f.Error, f.Redactions = string(clean), n
}

// bound cuts files so that all of them have at most limit bytes.
func (b *Bundle) bound(limit int) {
	for _, f := range b.Files {
		if keep := min(len(f.data), limit); keep < len(f.data) {
			f.Cut += int64(len(f.data) - keep)
			f.data = f.data[len(f.data)-keep:]
		}
		limit -= len(f.data)
		f.Size = len(f.data)
	}
}

// Cut are the files of which something was left out.
func (b *Bundle) Cut() []*File {
	var list []*File
	for _, f := range b.Files {
		if f.Cut > 0 {
			list = append(list, f)
		}
	}
	return list
}

// Failed are the sources that gave nothing, or not all.
func (b *Bundle) Failed() []*File {
	var list []*File
	for _, f := range b.Files {
		if f.Error != "" || f.Exit != nil {
			list = append(list, f)
		}
	}
	return list
}

// Write writes the archive: a gzip-compressed tar with one folder, the manifest
// first. Sources that gave nothing are in the manifest alone.
func (b *Bundle) Write(w io.Writer) error {
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	manifest, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if err := b.add(tw, "manifest.json", append(manifest, '\n')); err != nil {
		return err
	}
	for _, f := range b.Files {
		if len(f.data) == 0 {
			continue
		}
		if err := b.add(tw, f.Name, f.data); err != nil {
			return err
		}
	}
	return errors.Join(tw.Close(), zw.Close())
}

func (b *Bundle) add(tw *tar.Writer, name string, data []byte) error {
	// A rooted path has no way up, whatever the name holds.
	name = path.Join(b.Folder, path.Clean("/"+name))
	err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: b.Made})
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := tw.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
