package agents

import (
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// Table is the last word of every agent. It is safe for concurrent use.
type Table struct {
	now   func() time.Time
	began time.Time

	mu      sync.Mutex
	nodes   map[string]*node
	changed chan struct{} // closed and replaced at every report
}

type node struct {
	conn      *transport.Conn // nil while not connected
	seen      time.Time
	devices   []*wire.Device
	instances map[string]*wire.InstanceStatus
	inFlight  map[string]int // requests this coordinator has open, by instance
}

func newTable(now func() time.Time) *Table {
	return &Table{now: now, began: now(), nodes: map[string]*node{}, changed: make(chan struct{})}
}

// Changed gives a channel that is closed at the next report, connect or disconnect.
func (t *Table) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// notify wakes whoever waits; t.mu is held.
func (t *Table) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *Table) node(id string) *node {
	n := t.nodes[id]
	if n == nil {
		n = &node{instances: map[string]*wire.InstanceStatus{}, inFlight: map[string]int{}}
		t.nodes[id] = n
	}
	return n
}

// connect records a node's session and gives the connection of the one it replaces.
func (t *Table) connect(id string, conn *transport.Conn) (old *transport.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.node(id)
	if n.conn != conn {
		old = n.conn
	}
	n.conn, n.seen = conn, t.now()
	t.notify()
	return old
}

// disconnect forgets the connection, unless a newer one has replaced it. What the
// node ran is kept for display; without a connection none of it is ready.
func (t *Table) disconnect(id string, conn *transport.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil && n.conn == conn {
		n.conn, n.seen = nil, t.now()
		t.notify()
	}
}

func (t *Table) report(id string, tel *wire.Telemetry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.node(id)
	n.seen, n.devices = t.now(), tel.GetDevices()
	n.instances = make(map[string]*wire.InstanceStatus, len(tel.GetInstances()))
	for _, i := range tel.GetInstances() {
		n.instances[i.GetInstance()] = i
	}
	t.notify()
}

// Timings of design: how long a silent agent counts.
const (
	silentAfter = 750 * time.Millisecond // no heartbeat for so long: no new requests
	lostAfter   = 10 * time.Second       // its instances are placed elsewhere
	startGrace  = 30 * time.Second       // after a start every node gets time to call in
)

// Usable tells whether placement may count on a node.
func (t *Table) Usable(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.began) < startGrace {
		return true
	}
	n := t.nodes[id]
	return n != nil && (n.conn != nil || now.Sub(n.seen) < lostAfter)
}

// Node tells whether a node is connected and when it was last heard.
func (t *Table) Node(id string) (connected bool, seen time.Time, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[id]
	if n == nil {
		return false, time.Time{}, false
	}
	return n.conn != nil, n.seen, true
}

// Instance gives the last status of an instance on a node. While the node is not
// connected the status is as last heard and not live.
func (t *Table) Instance(nodeID, instance string) (st *wire.InstanceStatus, live bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil {
		return nil, false
	}
	st = n.instances[instance]
	return st, st != nil && n.conn != nil && t.now().Sub(n.conn.LastHeard()) < silentAfter
}

// InFlight counts the requests this coordinator has open to an instance.
func (t *Table) InFlight(nodeID, instance string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[nodeID]; n != nil {
		return n.inFlight[instance]
	}
	return 0
}

// NextDeadline is when Usable may next change without a report: placement looks
// again then.
func (t *Table) NextDeadline() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if end := t.began.Add(startGrace); now.Before(end) {
		return end, true
	}
	var next time.Time
	for _, n := range t.nodes {
		if n.conn != nil {
			continue
		}
		if end := n.seen.Add(lostAfter); now.Before(end) && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next, !next.IsZero()
}
