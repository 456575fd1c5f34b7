package metrics

import (
	"net"
	"sync"
)

// tokens are as many as there may be connections.
type tokens chan struct{}

func newTokens(n int) tokens { return make(tokens, n) }

func (t tokens) take() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t tokens) giveBack() { <-t }

// limited is a listener that closes connections that are too many, rather than
// let them wait: a scraper then knows at once.
type limited struct {
	*net.TCPListener
	free tokens
}

// Accept returns the next connection that there is room for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if l.free.take() {
			return &limitedConn{TCPConn: c, free: l.free}, nil
		}
		_ = c.Close() // a client too many; nothing can be done about an error
	}
}

// limitedConn makes room when it is closed, once.
type limitedConn struct {
	*net.TCPConn
	free tokens
	once sync.Once
}

// Close closes the connection.
func (c *limitedConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(c.free.giveBack)
	return err
}
