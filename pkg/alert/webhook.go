package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/spacei/drbdnfs/pkg/version"
)

// answerLimit bounds what is read of an answer, so that the server does not see
// its connection cut.
const answerLimit = 16 << 10

// webhook posts each alert to a URL.
type webhook struct {
	host      system
	url       *url.URL
	tokenFile string
	caFile    string
}

func newWebhook(h system, rawURL, tokenFile, caFile string) (*webhook, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, errors.New("alert webhook: the URL is malformed") // err repeats it
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("alert webhook: the URL has to begin with https://HOST or http://HOST")
	case tokenFile != "" && u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("alert webhook: a token is only sent by https, or to this node itself")
	}
	return &webhook{host: h, url: u, tokenFile: tokenFile, caFile: caFile}, nil
}

func loopback(name string) bool {
	return name == "localhost" || net.ParseIP(name).IsLoopback()
}

func (*webhook) name() string { return "webhook" }

// send posts body. Every answer of 200 to 299 will do.
func (w *webhook) send(ctx context.Context, _ Alert, body []byte) error {
	token, err := w.token()
	if err != nil {
		return err
	}
	if err := w.post(ctx, token, body); err != nil {
		return w.clean(err, token)
	}
	return nil
}

func (w *webhook) post(ctx context.Context, token string, body []byte) error {
	client, err := w.client()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "drbdnfsd/"+version.Number())
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerLimit)) // the status has said it all
	return judge(resp.StatusCode)
}

// judge says whether a status is a success, and whether a further try could be
// one.
func judge(status int) error {
	err := fmt.Errorf("answered %d %s", status, http.StatusText(status))
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		return finalError{fmt.Errorf("%w: redirections are not followed", err)}
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status == http.StatusTooEarly:
		return err
	}
	return finalError{err}
}

// client is one for a single request: alerts are rare, and the CA file can be
// replaced while the daemon runs.
func (w *webhook) client() (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if w.caFile != "" {
		pem, err := w.host.ReadFile(w.caFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s holds no certificate", w.caFile)
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: nil, TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: answerLimit,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// token reads the bearer token, if there is to be one. Its errors name the file
// and never what is in it.
func (w *webhook) token() (string, error) {
	if w.tokenFile == "" {
		return "", nil
	}
	data, err := w.host.ReadFile(w.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("token file %s does not hold one word", w.tokenFile)
	}
	return token, nil
}

// clean takes every secret out of err: the URL that package http repeats, and
// what a server that is none may echo of the request.
func (w *webhook) clean(err error, token string) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	text := err.Error()
	for _, secret := range w.secrets(token) {
		text = strings.ReplaceAll(text, secret, "***")
	}
	cleaned := fmt.Errorf("post to %s://%s: %s", w.url.Scheme, w.url.Host, text)
	var final finalError
	if errors.As(err, &final) {
		return finalError{cleaned}
	}
	return cleaned
}

// secrets are the parts of a request that no log may show.
func (w *webhook) secrets(token string) []string {
	password, _ := w.url.User.Password()
	all := []string{w.url.String(), w.url.RequestURI(), w.url.EscapedPath(), w.url.RawQuery, token, password, w.url.User.Username()}
	secrets := all[:0]
	for _, s := range all {
		if len(s) > 1 { // a path of "/" says nothing
			secrets = append(secrets, s)
		}
	}
	return secrets
}
