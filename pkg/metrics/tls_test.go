package metrics_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/metrics"
)

// identity is a certificate that signed itself.
type identity struct {
	name      string
	cert, key []byte // PEM
}

func newIdentity(t *testing.T, name string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{
		name: name,
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

// pair is the identity as a client shows it.
func (i identity) pair(t *testing.T) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// files are the certificate of a server on disk.
type files struct{ cert, key, ca string }

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
}

// put replaces a file as tools do: by renaming a new one.
func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func (f files) put(t *testing.T, i identity) {
	t.Helper()
	put(t, f.cert, i.cert)
	put(t, f.key, i.key)
}

// greet shakes hands with a server of conf and returns the name it shows.
func greet(t *testing.T, conf *tls.Config, client *tls.Config) (string, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() {
		s := tls.Server(b, conf)
		if err := s.HandshakeContext(t.Context()); err == nil {
			_, _ = s.Write([]byte("hello")) // TLS 1.3 refuses a client only after its handshake
		}
		b.Close()
	}()
	c := tls.Client(a, client)
	if err := c.HandshakeContext(t.Context()); err != nil {
		return "", err
	}
	if _, err := c.Read(make([]byte, 5)); err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

var trusting = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // which certificate it is, is what is tested

// Ensure that a changed certificate is used soon, that one that is no good
// leaves the old one in place and is told once, and that a file is not read
// for every client.
func TestCertificateReload(t *testing.T) {
	first, second := newIdentity(t, "first"), newIdentity(t, "second")
	f := newFiles(t)
	f.put(t, first)
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		conf, err := metrics.NewTLS(metrics.ServerOptions{TLSCert: f.cert, TLSKey: f.key, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name  string
			do    func()
			wait  time.Duration
			want  string
			warns int // lines in the log until now
		}{
			{"as begun", func() {}, 0, "first", 0},
			{"new certificate, old key", func() { put(t, f.cert, second.cert) }, metrics.Reread, "first", 1},
			{"still so", func() {}, metrics.Reread, "first", 1},
			{"new key too, not looked at yet", func() { put(t, f.key, second.key) }, metrics.Reread - time.Second, "first", 1},
			{"looked at", func() {}, time.Second, "second", 1},
			{"nonsense", func() { put(t, f.cert, []byte("nonsense")) }, metrics.Reread, "second", 2},
			{"gone", func() { _ = os.Remove(f.cert) }, metrics.Reread, "second", 3},
			{"still gone", func() {}, metrics.Reread, "second", 3},
			{"too large", func() { put(t, f.cert, make([]byte, 2<<20)) }, metrics.Reread, "second", 4},
			{"back", func() { f.put(t, first) }, metrics.Reread, "first", 4},
		} {
			step.do()
			time.Sleep(step.wait)
			got, err := greet(t, conf, trusting)
			if err != nil || got != step.want {
				t.Errorf("%s: %q, %v; want %q", step.name, got, err, step.want)
			}
			if n := strings.Count(log.String(), "keeping the old one"); n != step.warns {
				t.Errorf("%s: %d warnings, want %d:\n%s", step.name, n, step.warns, log.String())
			}
		}
	})
}

// Ensure that with an authority only its clients are answered, that a changed
// authority counts for the next client, and that old versions are refused.
func TestClientCertificates(t *testing.T) {
	server, alice, bob := newIdentity(t, "server"), newIdentity(t, "alice"), newIdentity(t, "bob")
	f := newFiles(t)
	f.put(t, server)
	put(t, f.ca, alice.cert)
	synctest.Test(t, func(t *testing.T) {
		conf, err := metrics.NewTLS(metrics.ServerOptions{TLSCert: f.cert, TLSKey: f.key, ClientCA: f.ca, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		as := func(i identity) *tls.Config {
			c := trusting.Clone()
			c.Certificates = []tls.Certificate{i.pair(t)}
			c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			return c
		}
		aliceTwice := as(alice)
		old := as(alice)
		old.MaxVersion = tls.VersionTLS11
		old.MinVersion = tls.VersionTLS10
		for _, tt := range []struct {
			name   string
			client *tls.Config
			ok     bool
		}{
			{"alice", aliceTwice, true},
			{"bob", as(bob), false},
			{"nobody", trusting, false},
			{"alice with TLS 1.1", old, false},
		} {
			if _, err := greet(t, conf, tt.client); (err == nil) != tt.ok {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		put(t, f.ca, bob.cert)
		time.Sleep(metrics.Reread)
		if _, err := greet(t, conf, as(bob)); err != nil {
			t.Errorf("bob afterwards: %v", err)
		}
		if _, err := greet(t, conf, aliceTwice); err == nil {
			t.Error("alice is still answered")
		}
	})
}

// Ensure that an authority without a certificate is refused at the start.
func TestClientAuthorityWithoutCertificate(t *testing.T) {
	f := newFiles(t)
	f.put(t, newIdentity(t, "server"))
	put(t, f.ca, []byte("nothing\n"))
	if _, err := metrics.NewTLS(metrics.ServerOptions{TLSCert: f.cert, TLSKey: f.key, ClientCA: f.ca}); err == nil {
		t.Error("no error")
	}
}

// Ensure that a scrape goes through over TLS, in HTTP/1.1, and that without
// TLS nothing is shown.
func TestScrapeOverTLS(t *testing.T) {
	id := newIdentity(t, "server")
	f := newFiles(t)
	f.put(t, id)
	o := options(serving(t, managed))
	o.TLSCert, o.TLSKey = f.cert, f.key
	addrs, _ := run(t, o)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(id.cert)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer c.CloseIdleConnections()
	res, body := get(t, c, "https://"+addrs[0]+"/metrics")
	if res.StatusCode != 200 || res.Proto != "HTTP/1.1" || !strings.Contains(body, "drbdnfs_build_info{") {
		t.Errorf("%s %s %.100q", res.Proto, res.Status, body)
	}
	if res, body := get(t, c, "http://"+addrs[0]+"/metrics"); res.StatusCode == 200 || strings.Contains(body, "drbdnfs") {
		t.Errorf("without TLS: %s %.100q", res.Status, body)
	}
}
