package consensus

import (
	"context"
	"crypto/x509"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// dialTimeout bounds a dial to a peer: raft's votes must not wait for the dead.
const dialTimeout = 500 * time.Millisecond

// Hub carries raft streams between this coordinator and others. It is safe for
// concurrent use.
type Hub struct {
	fleet *transport.Listener
	id    *pki.Identity
	trust transport.Trust

	mu     sync.Mutex
	layers map[string]*Layer
	peers  map[string]*peer // by address
}

// NewHub makes a hub over the node's fleet port. Whoever accepts the port's
// connections hands those of coordinators to Serve.
func NewHub(fleet *transport.Listener, id *pki.Identity, pool *x509.CertPool) *Hub {
	return &Hub{
		fleet: fleet, id: id, trust: transport.TrustPool(pool),
		layers: map[string]*Layer{}, peers: map[string]*peer{},
	}
}

// Layer gives a group's streams; the same group gives the same layer while it is open.
func (h *Hub) Layer(group string) *Layer {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.layers[group]
	if l == nil {
		l = &Layer{hub: h, group: group, incoming: make(chan *transport.Stream), done: make(chan struct{})}
		h.layers[group] = l
	}
	return l
}

// Serve passes the raft streams that a coordinator opens to their groups, until the
// connection or ctx ends.
func (h *Hub) Serve(ctx context.Context, conn *transport.Conn) {
	for {
		st, head, err := conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		if head.GetKind() == wire.StreamKind_STREAM_KIND_RAFT {
			go h.pass(ctx, st, head.GetRaftGroup())
		} else {
			st.Cancel()
		}
	}
}

// pass gives a stream to its group; one of a group that is not open here is cancelled,
// and the peer dials again later.
func (h *Hub) pass(ctx context.Context, st *transport.Stream, group string) {
	h.mu.Lock()
	l := h.layers[group]
	h.mu.Unlock()
	if l == nil {
		st.Cancel()
		return
	}
	select {
	case l.incoming <- st:
	case <-l.done:
		st.Cancel()
	case <-ctx.Done():
		st.Cancel()
	}
}

// forget drops a closed layer.
func (h *Hub) forget(l *Layer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.layers[l.group] == l {
		delete(h.layers, l.group)
	}
}

// Close ends the connections this hub dialled.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.peers {
		p.close()
	}
}

func (h *Hub) peer(addr string) *peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[addr]
	if p == nil {
		p = &peer{addr: addr, dial: h.dial}
		h.peers[addr] = p
	}
	return p
}

func (h *Hub) dial(ctx context.Context, addr string) (*transport.Conn, error) {
	return transport.Dial(ctx, addr, h.id, h.trust)
}
