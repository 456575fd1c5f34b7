package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxResolutions is how many pkg/splitbrain remembers.
const maxResolutions = 16

func (k *checker) checkSplitBrain() {
	s := k.c.SplitBrain
	k.oneOf("split_brain.policy", s.Policy, PolicyManual, PolicySecondary, PolicyLeastChanges, PolicyYoungerPrimary, PolicyKeepNode)
	k.oneOf("split_brain.snapshot", s.Snapshot, SnapshotRequired, SnapshotIfPossible, SnapshotOff)
	switch {
	case s.Policy == PolicyKeepNode && s.Keep == "":
		k.add("split_brain.keep", "not set with policy keep-node", "write the node whose data survive")
	case s.Policy != PolicyKeepNode && s.Keep != "":
		k.add("split_brain.keep", fmt.Sprintf("set with policy %q", s.Policy), "take it out, or choose policy keep-node")
	case s.Keep != "":
		k.diskful("split_brain.keep", s.Keep, "name a node that holds data")
	}
	k.between("split_brain.cool_down", s.CoolDown, minute, 365*24*hour)
	k.within("split_brain.resolutions", s.Resolutions, 1, maxResolutions)
	k.file("split_brain.marker_dir", s.MarkerDir)
}

func (k *checker) checkMetrics() {
	m := k.c.Metrics
	if m.Listen != ListenOff {
		k.listen("metrics.listen", m.Listen)
	}
	k.oneOf("metrics.resources", m.Resources, ResourcesManaged, ResourcesAll)
	k.file("metrics.tls_cert", m.TLSCert)
	k.file("metrics.tls_key", m.TLSKey)
	k.file("metrics.client_ca", m.ClientCA)
	switch {
	case m.TLSCert != "" && m.TLSKey == "":
		k.add("metrics.tls_key", "not set, but metrics.tls_cert is", "write the file with the certificate's key")
	case m.TLSKey != "" && m.TLSCert == "":
		k.add("metrics.tls_cert", "not set, but metrics.tls_key is", "write the file with the certificate")
	case m.ClientCA != "" && m.TLSCert == "":
		k.add("metrics.client_ca", "set without a certificate of the server", "write metrics.tls_cert and metrics.tls_key too")
	}
}

// listen checks HOST:PORT, where HOST may be empty or "node".
func (k *checker) listen(key, text string) {
	const remedy = `write an address and a port as "127.0.0.1:19942", "node:19942" or ":19942", or "off"`
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		k.add(key, "no port", remedy)
		return
	}
	host, port := text[:i], text[i+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		k.add(key, "not a port from 1 to 65535", remedy)
		return
	}
	if host == "" || host == ListenNode {
		return
	}
	if _, err := netip.ParseAddrPort(text); err != nil {
		k.add(key, "not an IP address", remedy)
	}
}

func (k *checker) checkAlerts() {
	a := k.c.Alerts
	if len(a.Command) > 0 {
		k.directory("alerts.command[0]", a.Command[0])
	}
	if a.Webhook != "" {
		k.webhook("alerts.webhook", a.Webhook)
	}
	k.file("alerts.token_file", a.TokenFile)
	k.file("alerts.ca_file", a.CAFile)
	if a.Webhook == "" && a.TokenFile != "" {
		k.add("alerts.token_file", "set without a webhook", "write alerts.webhook, or take it out")
	}
	k.between("alerts.timeout", a.Timeout, second, 5*minute)
}

func (k *checker) webhook(key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		k.add(key, "not a URL", "write it as https://alerts.example.org/drbdnfs")
	case u.User != nil:
		k.add(key, "a password in the URL", "put it into a file of mode 0600 and write alerts.token_file")
	}
}

// file checks a path that may be empty.
func (k *checker) file(key, path string) {
	if path != "" {
		k.directory(key, path)
	}
}
