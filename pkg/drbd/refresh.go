package drbd

// Refresh takes over from dump what only --statistics prints, for the objects
// that s knows. It is for an events2 that cannot be asked for new numbers: a
// second one, with --now, prints them.
//
// States stay as they are, and so does what only one of both knows: dump was
// made at a moment of its own, before or after the last line that s has seen,
// and the lines tell the truth in their order. Nothing of dump is kept.
func (s *State) Refresh(dump *State) {
	for name, from := range dump.Resources {
		r := s.Resources[name]
		if r == nil {
			continue
		}
		silent(&r.WriteOrdering, from.WriteOrdering)
		for v, fromDevice := range from.Devices {
			if d := r.Devices[v]; d != nil {
				d.refresh(fromDevice)
			}
		}
		for id, fromConnection := range from.Connections {
			if c := r.Connections[id]; c != nil {
				c.refresh(fromConnection)
			}
		}
	}
}

func (d *Device) refresh(from *Device) {
	d.SizeBytes, d.ReadBytes, d.WrittenBytes = from.SizeBytes, from.ReadBytes, from.WrittenBytes
	d.ALWrites, d.BMWrites = from.ALWrites, from.BMWrites
	d.UpperPending, d.LowerPending = from.UpperPending, from.LowerPending
	d.ALSuspended = from.ALSuspended
	silent(&d.Blocked, from.Blocked)
}

func (c *Connection) refresh(from *Connection) {
	c.Congested, c.APInFlight, c.RSInFlight = from.Congested, from.APInFlight, from.RSInFlight
	for v, fromPeer := range from.PeerDevices {
		p := c.PeerDevices[v]
		if p == nil {
			continue
		}
		p.OutOfSyncBytes, p.ReceivedBytes, p.SentBytes = fromPeer.OutOfSyncBytes, fromPeer.ReceivedBytes, fromPeer.SentBytes
		p.Pending, p.Unacked = fromPeer.Pending, fromPeer.Unacked
		if p.Replication.progresses() {
			p.DonePercent, p.MiBPerSecond, p.ETA = fromPeer.DonePercent, fromPeer.MiBPerSecond, fromPeer.ETA
		}
	}
}
