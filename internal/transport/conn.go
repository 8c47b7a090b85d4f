package transport

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/wire"
)

const (
	headerMax     = 16 << 10        // bytes of a stream's first frame
	headerTimeout = 5 * time.Second // for it to arrive
)

// Conn is one connection to a peer. It is safe for concurrent use.
type Conn struct {
	quic    *quic.Conn
	peer    Peer
	cert    *x509.Certificate // of the peer; nil when anonymous
	expired bool

	incoming chan incoming
	beats    heartbeat
}

// incoming is a stream whose header was read and allowed.
type incoming struct {
	stream *Stream
	header *wire.StreamHeader
}

func newConn(q *quic.Conn, peer Peer, expired bool) *Conn {
	c := &Conn{quic: q, peer: peer, expired: expired, incoming: make(chan incoming)}
	if certs := q.ConnectionState().TLS.PeerCertificates; len(certs) > 0 {
		c.cert = certs[0]
	}
	if peer.Anonymous() || expired {
		c.limitLife()
	}
	c.startBeats()
	go c.greetAll()
	return c
}

// limitLife ends the connection of a peer that came to enrol or renew and stayed.
func (c *Conn) limitLife() {
	timer := time.AfterFunc(anonymousLifeMax, func() { c.Close("time to enrol or renew is over") })
	context.AfterFunc(c.quic.Context(), func() { timer.Stop() })
}

// Peer is who is at the other end.
func (c *Conn) Peer() Peer { return c.peer }

// Certificate of the peer; nil when it is anonymous.
func (c *Conn) Certificate() *x509.Certificate { return c.cert }

// Expired tells whether the peer's certificate had ended when it connected: it can
// only renew.
func (c *Conn) Expired() bool { return c.expired }

// RemoteAddr of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.quic.RemoteAddr() }

// Done is closed when the connection has ended; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.quic.Context().Done() }

// Err is nil while the connection lives.
func (c *Conn) Err() error {
	if c.quic.Context().Err() == nil {
		return nil
	}
	return translate(context.Cause(c.quic.Context()))
}

// Close ends the connection and all its streams; the peer sees the reason.
func (c *Conn) Close(reason string) {
	_ = c.quic.CloseWithError(connClosed, reason) // it fails only on a connection that has ended
}

// refuse ends the connection of a peer that is not wanted.
func (c *Conn) refuse(reason error) {
	_ = c.quic.CloseWithError(connRefused, reason.Error())
}

// OpenStream starts an exchange. It waits while the peer holds the most streams it
// takes at once. Whether the peer allows the stream shows at the first Read.
func (c *Conn) OpenStream(ctx context.Context, header *wire.StreamHeader) (*Stream, error) {
	q, err := c.quic.OpenStreamSync(ctx)
	if err != nil {
		return nil, fmt.Errorf("open stream to %s: %w", c.peer, translate(err))
	}
	s := &Stream{quic: q, conn: c}
	stop := context.AfterFunc(ctx, s.Cancel)
	err = wire.WriteFrame(s, header)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.Cancel()
		return nil, fmt.Errorf("open stream to %s: %w", c.peer, err)
	}
	return s, nil
}

// AcceptStream waits for the next exchange that the peer opens and is allowed to. A
// stream whose header does not come, is malformed or not allowed never shows up here.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, *wire.StreamHeader, error) {
	select {
	case in := <-c.incoming:
		return in.stream, in.header, nil
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	case <-c.Done():
		return nil, nil, c.Err()
	}
}

// greetAll reads the headers of the peer's streams, each on its own, so that a slow
// one holds up no other.
func (c *Conn) greetAll() {
	for {
		q, err := c.quic.AcceptStream(context.Background())
		if err != nil {
			return // the connection has ended
		}
		go c.greet(&Stream{quic: q, conn: c})
	}
}

func (c *Conn) greet(s *Stream) {
	header := new(wire.StreamHeader)
	_ = s.SetReadDeadline(time.Now().Add(headerTimeout)) // QUIC streams always take deadlines
	if err := wire.ReadFrame(io.LimitReader(s, headerMax), header); err != nil {
		s.Cancel()
		return
	}
	_ = s.SetReadDeadline(time.Time{})
	if !mayOpen(c.peer.Role, c.expired, header.GetKind()) {
		s.abort(streamDenied)
		return
	}
	select {
	case c.incoming <- incoming{s, header}:
	case <-c.Done():
	}
}

// Dial connects to a node's fleet port as id, or anonymously when id is nil or not
// enrolled. The server is checked within the handshake: it must be a coordinator of
// the fleet that trust names.
func Dial(ctx context.Context, addr string, id *pki.Identity, trust Trust) (*Conn, error) {
	cfg := clientTLS(id, trust, pki.RoleCoordinator)
	cfg.NextProtos = []string{ALPN}
	q, err := quic.DialAddr(ctx, addr, cfg, quicConfig())
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, translate(err))
	}
	peer, err := trust.verify(q.ConnectionState().TLS.PeerCertificates, pki.RoleCoordinator)
	if err != nil {
		_ = q.CloseWithError(connClosed, "certificate")
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return newConn(q, peer, false), nil
}
