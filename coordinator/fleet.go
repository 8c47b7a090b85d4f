package coordinator

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
)

// admit turns away nodes that were removed or revoked, on QUIC and TCP alike. Until
// the state is restored it cannot know; sessions check again.
func (c *Coordinator) admit(peer pki.Peer, _ *x509.Certificate) error {
	select {
	case <-c.caughtUp:
		return c.agents.Admit(peer)
	default:
		return nil
	}
}

// serveFleet accepts the connections of the fleet port. Other coordinators speak raft
// at once: the state is restored through them. Agents wait until it is, since only then
// can it be told who they are.
func (c *Coordinator) serveFleet(ctx context.Context) error {
	for {
		conn, err := c.fleet.Accept(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("coordinator: fleet port: %w", err)
		case conn.Peer().Role == pki.RoleCoordinator:
			go c.hub.Serve(ctx, conn)
		default:
			go c.serveAgent(ctx, conn)
		}
	}
}

func (c *Coordinator) serveAgent(ctx context.Context, conn *transport.Conn) {
	select {
	case <-c.caughtUp:
		c.agents.ServeConn(ctx, conn)
	case <-conn.Done():
	case <-ctx.Done():
	}
}
