package coordinator

import (
	"net"
	"net/http"
	"sync"
)

// connsMax is how many connections the API has at once: more than a fleet's apps need,
// fewer than would take a coordinator's memory.
const connsMax = 8192

// crowd bounds the connections of a port. When all places are taken, a newcomer takes
// that of one whose peer has kept it without asking anything; with none it is turned
// away at once.
type crowd struct {
	max int

	mu   sync.Mutex
	open int
	idle map[net.Conn]struct{} // as the HTTP server knows them
}

func newCrowd(max int) *crowd { return &crowd{max: max, idle: map[net.Conn]struct{}{}} }

// bound counts the connections of a listener.
func (c *crowd) bound(l net.Listener) net.Listener { return &boundListener{l, c} }

// state is told by the HTTP server what its connections do.
func (c *crowd) state(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == http.StateIdle {
		c.idle[conn] = struct{}{}
		return
	}
	delete(c.idle, conn)
}

// enter takes a place, if there is one or can be.
func (c *crowd) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.max {
		if !c.shed() {
			return false
		}
	}
	c.open++
	return true
}

// shed ends an idle connection. Its place is free once it has noticed; until then one
// more is open than should be.
func (c *crowd) shed() bool {
	for conn := range c.idle {
		delete(c.idle, conn)
		go conn.Close()
		return true
	}
	return false
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

type boundListener struct {
	net.Listener
	crowd *crowd
}

// Accept gives the next connection that finds a place.
func (l *boundListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.crowd.enter() {
			return &boundConn{Conn: conn, crowd: l.crowd}, nil
		}
		_ = conn.Close() // it was not served
	}
}

type boundConn struct {
	net.Conn
	crowd *crowd
	once  sync.Once
}

// Close gives the place up.
func (c *boundConn) Close() error {
	c.once.Do(c.crowd.leave)
	return c.Conn.Close()
}
