package daemon

import (
	"context"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
	"github.com/spacei/drbdnfs/pkg/drbd"
)

// declareEvery is how often this node tells the others of itself although
// nothing has changed: Pacemaker forgets what is published when its daemon is
// killed. The same value again is no line in its log.
const declareEvery = time.Minute

// declared is what was told last, and when.
type declared struct {
	at            time.Time
	config        *config.Config
	digest        string // of config
	broken        string
	kernel, utils drbd.Version
}

// declare lets the other nodes know which configuration and which versions are
// in use here, for drbdnfs check.
func (w *owner) declare(now time.Time) {
	d, s := &w.declared, &w.settings
	news := d.config != s.config || d.broken != s.broken || d.kernel != w.kernel || d.utils != w.utils
	if !w.known || !news && now.Sub(d.at) < declareEvery {
		return
	}
	if s.config != nil && d.config != s.config {
		d.digest = declare.Digest(s.config)
	}
	d.at, d.config, d.broken, d.kernel, d.utils = now, s.config, s.broken, w.kernel, w.utils
	n := declare.Node{Version: w.o.Version}
	switch {
	case s.broken != "":
		n.Problem = declare.Invalid
	case s.config == nil:
		n.Problem = declare.Missing
	}
	if s.config != nil {
		n.Config = d.digest
	}
	if w.kernel != (drbd.Version{}) {
		n.Kernel = w.kernel.String()
	}
	if w.utils != (drbd.Version{}) {
		n.Utils = w.utils.String()
	}
	_, err := w.o.Host.Stat(config.DefaultSecretFile)
	n.Secret = err == nil
	w.cluster.publish(declare.Attribute, func(ctx context.Context) {
		if err := w.cluster.client.Publish(ctx, declare.Attribute, n.Marshal()); err != nil && !noCluster(err) {
			w.o.Log.Debug("what this node is was not told to the others", "err", err)
		}
	})
}
