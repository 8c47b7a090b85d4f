package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/nanofleet/nanofleet/internal/pki"
)

// Options of a Listener; the zero value will do.
type Options struct {
	// Now is the clock certificates are checked by; nil is time.Now.
	Now func() time.Time
	// Admit is asked for every peer with a valid or just expired certificate. Its
	// error is shown to the peer, so it must hold no internals; nil admits.
	Admit func(Peer, *x509.Certificate) error
}

// Listener is a node's fleet port: QUIC on UDP, and TLS on TCP with the same number.
type Listener struct {
	opts Options
	pool *x509.CertPool
	udp  *quic.Transport
	quic *quic.Listener
	tcp  net.Listener

	mu     sync.Mutex
	conns  map[*Conn]struct{}
	closed bool
}

// Listen opens the fleet port as id; pool holds the authority that signs peers.
// With port 0 a port is taken that is free for both.
func Listen(addr string, id *pki.Identity, pool *x509.CertPool, opts Options) (*Listener, error) {
	opts.Now = clock(opts.Now)
	key, err := id.Derive("stateless reset")
	if err != nil {
		return nil, err
	}
	tcp, udp, err := bind(addr)
	if err != nil {
		return nil, fmt.Errorf("transport: listen on %s: %w", addr, err)
	}
	l := &Listener{opts: opts, pool: pool, conns: map[*Conn]struct{}{}}
	l.udp = &quic.Transport{Conn: udp, StatelessResetKey: (*quic.StatelessResetKey)(&key)}
	cfg := serverTLS(id, pool, opts.Now)
	l.tcp = tls.NewListener(tcp, l.mutual(cfg.Clone()))
	cfg.NextProtos = []string{ALPN}
	if l.quic, err = l.udp.Listen(cfg, quicConfig()); err != nil {
		return nil, errors.Join(fmt.Errorf("transport: listen on %s: %w", addr, err), tcp.Close(), udp.Close())
	}
	return l, nil
}

// bind takes the same port for TCP and UDP. When any port will do, another process may
// hold the UDP half of the one TCP got: then the next is tried.
func bind(addr string) (net.Listener, net.PacketConn, error) {
	var last error
	for range 16 {
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp, nil
		}
		last = errors.Join(err, tcp.Close())
		_, port, _ := net.SplitHostPort(addr)
		if port != "0" || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, nil, last
}

// mutual makes the TCP side demand a valid, unexpired certificate of an admitted node.
func (l *Listener) mutual(cfg *tls.Config) *tls.Config {
	cfg.ClientAuth = tls.RequireAnyClientCert
	cfg.NextProtos = []string{"http/1.1"}
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		peer, expired, err := verifyClient(cs.PeerCertificates, l.pool, l.opts.Now())
		if err != nil {
			return err
		}
		if expired {
			return fmt.Errorf("%w: %s", pki.ErrExpired, peer)
		}
		return l.admit(peer, cs.PeerCertificates[0])
	}
	return cfg
}

func (l *Listener) admit(peer Peer, cert *x509.Certificate) error {
	if l.opts.Admit == nil || peer.Anonymous() {
		return nil
	}
	return l.opts.Admit(peer, cert)
}

// Addr is the port's address; UDP and TCP have the same.
func (l *Listener) Addr() net.Addr { return l.udp.Conn.LocalAddr() }

// TCP accepts TLS connections of nodes; see RequestPeer for who is calling.
func (l *Listener) TCP() net.Listener { return l.tcp }

// Accept waits for the next connection of an admitted or anonymous peer.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	for {
		q, err := l.quic.Accept(ctx)
		if err != nil {
			return nil, fmt.Errorf("transport: accept: %w", err)
		}
		certs := q.ConnectionState().TLS.PeerCertificates
		peer, expired, err := verifyClient(certs, l.pool, l.opts.Now())
		if err != nil { // it was valid within the handshake, and no longer is
			_ = q.CloseWithError(connRefused, "certificate not valid")
			continue
		}
		if c := l.welcome(newConn(q, peer, expired)); c != nil {
			return c, nil
		}
	}
}

// welcome keeps c for Close, or refuses it and returns nil.
func (l *Listener) welcome(c *Conn) *Conn {
	if err := l.admit(c.peer, c.cert); err != nil {
		c.refuse(err)
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		go c.Close("shutting down")
		return nil
	}
	l.conns[c] = struct{}{}
	context.AfterFunc(c.quic.Context(), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, c)
	})
	return c
}

// Close ends the port and every connection it accepted.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	conns := make([]*Conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		c.Close("shutting down")
	}
	tcp := l.tcp.Close()
	if errors.Is(tcp, net.ErrClosed) {
		tcp = nil // by the server that served it
	}
	return errors.Join(tcp, l.quic.Close(), l.udp.Close(), l.udp.Conn.Close())
}
