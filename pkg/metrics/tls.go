package metrics

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reread is how often the files of the certificate are looked at, at most: a
// flood of clients is not a flood of reads.
const reread = 10 * time.Second

// maxPEM bounds each of the files.
const maxPEM = 1 << 20

// keeper has the TLS configuration that was made from the files as they were
// last good.
type keeper struct {
	cert, key, ca string
	log           *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	content [3][]byte // of cert, key and ca, as last read, good or not
	told    string    // the last problem that was logged
	conf    *tls.Config
}

// newTLS returns nil without files, and otherwise a configuration that follows
// them. It fails when they are no good: only later a bad file keeps the old.
func newTLS(o ServerOptions) (*tls.Config, error) {
	if o.TLSCert == "" && o.TLSKey == "" && o.ClientCA == "" {
		return nil, nil
	}
	if o.TLSCert == "" || o.TLSKey == "" {
		return nil, errors.New("TLS needs both a certificate and its key")
	}
	k := &keeper{cert: o.TLSCert, key: o.TLSKey, ca: o.ClientCA, log: o.Log}
	if err := k.look(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return k.current(), nil
		},
	}, nil
}

// current returns the configuration for one client, after a look at the files
// if the last one was a while ago.
func (k *keeper) current() *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) >= reread {
		if err := k.look(); err != nil && err.Error() != k.told {
			k.told = err.Error()
			k.log.Warn("certificate of the metrics endpoint cannot be used, keeping the old one", "err", err)
		}
	}
	return k.conf
}

// look makes a new configuration when a file has changed. The contents are
// compared, because a renamed file can have the time and size of the old; what
// was no good is not tried again until it changes.
func (k *keeper) look() error {
	k.looked = time.Now()
	content, err := readAll(k.cert, k.key, k.ca)
	if err != nil {
		return err
	}
	if same(content, k.content) {
		return nil
	}
	k.content = content
	cert, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("%s and %s: %w", k.cert, k.key, err)
	}
	conf := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"http/1.1"},
		// A resumed session would not be asked for a certificate of the new authorities.
		SessionTicketsDisabled: true,
	}
	if k.ca != "" {
		conf.ClientAuth = tls.RequireAndVerifyClientCert
		conf.ClientCAs = x509.NewCertPool()
		if !conf.ClientCAs.AppendCertsFromPEM(content[2]) {
			return fmt.Errorf("%s: no certificate in it", k.ca)
		}
	}
	k.conf, k.told = conf, ""
	return nil
}

func same(a, b [3][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// readAll returns the contents of the files; an empty name has none.
func readAll(names ...string) (content [3][]byte, err error) {
	for i, name := range names {
		if name == "" {
			continue
		}
		if content[i], err = readPEM(name); err != nil {
			return content, err
		}
	}
	return content, nil
}

func readPEM(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPEM {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxPEM)
	}
	return data, nil
}
