package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/bundle"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

const (
	flagOutput = "output"
	flagSince  = "since"
)

const bundleDescription = `Collects what a post-mortem needs from this node into HOST-DATE.tar.gz, readable by its owner alone: configuration, the
cluster's and DRBD's state, CIB history, journals, and timeline.txt, which says in one clock what happened. It works with
everything down: what does not answer is noted in manifest.json, and it takes a minute at most.

Passwords, keys, tokens and webhooks are replaced by "(hidden)", in logs too, by their names and by their values; the
secret file and corosync's key are never read into it. Addresses, host names and export paths stay. Look through
it before it leaves the house.

Each file is bounded (1 MiB, logs 8 MiB: their oldest part is left out), all together 64 MiB before compression. Run it on
each node; the clocks of the nodes are compared in host/chrony.txt.`

// bundleCommand is "drbdnfs bundle".
func bundleCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "bundle", Usage: "collect everything for a post-mortem into one file, without secrets", Description: bundleDescription,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Usage: "write `FILE`, which must not exist; - is standard output"},
			&cli.DurationFlag{Name: flagSince, Value: 24 * time.Hour, Usage: "journals of the last `TIME`"},
		},
		Action: func(cc *cli.Context) error { return bundleAction(c, cc) },
	}
}

func bundleAction(c console, cc *cli.Context) error {
	if err := noArguments(cc); err != nil {
		return err
	}
	since := cc.Duration(flagSince)
	if since <= 0 {
		return usageError("--since %s: write how far back, such as 24h", since)
	}
	h, _ := newHost(c, cc)
	self, err := h.Hostname()
	if err != nil {
		return fmt.Errorf("ask for this node's name: %w", err)
	}
	now := time.Now()
	o := bundle.Options{Machine: h, ConfigFile: configFile(cc), Self: self, Now: now, Since: now.Add(-since), Secrets: secrets()}
	cfg, err := load(cc)
	if err != nil {
		fmt.Fprintf(c.err, "drbdnfs: the configuration cannot be used, its file is taken as it is, without secrets: %v\n", err)
	} else {
		o.Config, o.Metrics = cfg, fetchMetrics(cfg)
		o.Secrets = append(o.Secrets, fileSecrets(cfg)...)
	}
	b := bundle.Collect(cc.Context, o)
	if err := cc.Context.Err(); err != nil {
		return err
	}
	return writeBundle(c, b, cc.String(flagOutput))
}

// secrets are those of the environment and of the default secret file.
func secrets() []string {
	return append([]string{os.Getenv("LS_PASSWORD")}, lines(config.DefaultSecretFile)...)
}

// fileSecrets are those of files that the configuration names.
func fileSecrets(cfg *config.Config) []string {
	if cfg.Alerts.TokenFile == "" {
		return nil
	}
	return lines(cfg.Alerts.TokenFile)
}

// lines are the lines of a file that are no comments; none when it cannot be read.
func lines(file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// fetchMetrics asks the daemon on this machine, nil where it is not to be found on
// the loopback without a certificate.
func fetchMetrics(cfg *config.Config) bundle.Fetch {
	name, port, err := net.SplitHostPort(cfg.Metrics.Listen)
	addr, bad := netip.ParseAddr(name)
	if err != nil || cfg.Metrics.TLSCert != "" || name != "localhost" && (bad != nil || !addr.IsLoopback()) {
		return nil
	}
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(name, port)+"/metrics", http.NoBody)
		if err != nil {
			return nil, err
		}
		client := http.Client{Transport: &http.Transport{Proxy: nil}}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		const most = 4 << 20
		return io.ReadAll(io.LimitReader(resp.Body, most))
	}
}

// writeBundle writes the archive and says what is in it and what is not.
func writeBundle(c console, b *bundle.Bundle, output string) error {
	if output == "-" {
		return b.Write(c.out)
	}
	if output == "" {
		output = b.Folder + ".tar.gz"
	}
	size, err := writeNew(output, b.Write)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s  %s\n", output, snapshot.Bytes(size))
	for _, f := range b.Cut() {
		fmt.Fprintf(c.out, "  %s: %s left out\n", f.Name, snapshot.Bytes(f.Cut))
	}
	if n := len(b.Failed()); n > 0 {
		fmt.Fprintf(c.out, "  %d of %d sources gave nothing or not all, which may be in order: manifest.json says why\n", n, len(b.Files))
	}
	fmt.Fprintf(c.out, "  look through it before it leaves the house: %s/timeline.txt is where to begin\n", b.Folder)
	if len(b.Others) > 0 {
		fmt.Fprintf(c.out, "run it on %s as well: this is %s's part\n", strings.Join(b.Others, " and "), b.Node)
	}
	return nil
}

// writeNew makes a file that only its owner can read. A file that is cut off is
// not left behind, and one that exists is not touched.
func writeNew(output string, write func(io.Writer) error) (int64, error) {
	f, err := os.OpenFile(filepath.Clean(output), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return 0, fmt.Errorf("%s exists already: choose another --output", output)
	}
	if err != nil {
		return 0, fmt.Errorf("make the bundle: %w", err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	st, statErr := f.Stat()
	if err := errors.Join(err, statErr, f.Close()); err != nil {
		return 0, errors.Join(fmt.Errorf("write %s: %w", output, err), os.Remove(output))
	}
	return st.Size(), nil
}
