package consensus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// Layer is the raft.StreamLayer of one group.
type Layer struct {
	hub      *Hub
	group    string
	incoming chan *transport.Stream
	done     chan struct{}
	once     sync.Once
}

var _ raft.StreamLayer = (*Layer)(nil)

// Dial opens a stream of the group to the coordinator at an address.
func (l *Layer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(timeout, dialTimeout))
	defer cancel()
	conn, err := l.hub.peer(string(addr)).get(ctx)
	if err != nil {
		return nil, err
	}
	st, err := conn.OpenStream(ctx, &wire.StreamHeader{
		Capability: wire.Capability,
		Kind:       wire.StreamKind_STREAM_KIND_RAFT,
		RaftGroup:  l.group,
	})
	if err != nil {
		return nil, err
	}
	return st, nil
}

// Accept waits for a stream of the group.
func (l *Layer) Accept() (net.Conn, error) {
	select {
	case st := <-l.incoming:
		return st, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; the fleet port goes on.
func (l *Layer) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.hub.forget(l)
	})
	return nil
}

// Addr is the fleet port's.
func (l *Layer) Addr() net.Addr { return l.hub.fleet.Addr() }
