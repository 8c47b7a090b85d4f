package consensus

import (
	"context"
	"sync"

	"github.com/nanofleet/nanofleet/internal/transport"
)

// peer is the one connection to another coordinator. Whoever needs it while it is
// being dialled waits for that one dial, with no lock held: a dead peer costs each of
// them dialTimeout at most, and never one after the other.
type peer struct {
	addr string
	dial func(ctx context.Context, addr string) (*transport.Conn, error)

	mu      sync.Mutex
	conn    *transport.Conn
	attempt *attempt // the dial under way
}

// attempt is one dial; its fields are set when done is closed.
type attempt struct {
	done chan struct{}
	conn *transport.Conn
	err  error
}

// get gives the connection, dialling when there is none that lives.
func (p *peer) get(ctx context.Context) (*transport.Conn, error) {
	p.mu.Lock()
	if p.conn != nil && p.conn.Err() == nil {
		defer p.mu.Unlock()
		return p.conn, nil
	}
	a := p.attempt
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		p.attempt = a
		go p.run(a)
	}
	p.mu.Unlock()
	select {
	case <-a.done:
		return a.conn, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// run dials and keeps the result.
func (p *peer) run(a *attempt) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	a.conn, a.err = p.dial(ctx, p.addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn, p.attempt = a.conn, nil
	close(a.done)
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		p.conn.Close("shutting down")
	}
}
