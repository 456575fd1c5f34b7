package drbd

import "strings"

// clone copies the strings of id, which may be parts of a line.
func (id ID) clone() ID {
	id.Resource = strings.Clone(id.Resource)
	id.ConnName = strings.Clone(id.ConnName)
	id.Local = strings.Clone(id.Local)
	id.Peer = strings.Clone(id.Peer)
	return id
}

func (r *Resource) id() ID {
	id := NoID()
	id.Resource = r.Name
	return id
}

func (d *Device) id(r *Resource) ID {
	id := r.id()
	id.Volume, id.Minor = d.Volume, d.Minor
	return id
}

func (c *Connection) id(r *Resource) ID {
	id := r.id()
	id.PeerNodeID, id.ConnName = c.PeerNodeID, c.Name
	return id
}

// pathID completes the ends in path to the identity of a path of c.
func (c *Connection) pathID(r *Resource, path ID) ID {
	id := c.id(r)
	id.Local, id.Peer = path.Local, path.Peer
	return id
}

func (p *PeerDevice) id(r *Resource, c *Connection) ID {
	id := c.id(r)
	id.Volume = p.Volume
	return id
}
