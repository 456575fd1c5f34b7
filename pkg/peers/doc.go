// Package peers keeps the list of client connections of the service addresses,
// so that the next node can tell the clients that their server has changed.
//
// A client whose server has died waits for its own retransmission timer, up to
// as long as the outage has lasted already. A tickle shortens that to nothing:
// the new node sends forged packets for the connection, the client answers, is
// reset, and connects anew. For that the new node has to know the connections,
// so the old one saves them on the replicated volume while it serves.
//
//	p, err := peers.New(peers.Options{Host: h, Addrs: vip.Addrs(vips), Ports: []uint16{2049}})
//	list, err := p.Collect(ctx)         // on the old node, at every monitor
//	os.WriteFile(file, list.Text(), 0o600)
//	list, skipped := peers.Parse(text)  // on the new node
//	n, err := p.Tickle(ctx, list)
//
// The agent and its announcer call it. A list is advice: it may be old, cut
// off or empty, and nothing here ever stops a take-over because of it.
package peers
