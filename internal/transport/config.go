package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/nanofleet/nanofleet/internal/pki"
)

// ALPN names the protocol in the TLS handshake of QUIC.
const ALPN = "nanofleet/1"

// Figures of every connection.
const (
	KeepAlive          = 250 * time.Millisecond
	IdleTimeout        = 5 * time.Second
	HandshakeTimeout   = 5 * time.Second
	streamWindowMax    = 16 << 20 // bytes in flight on one stream
	connWindowMax      = 64 << 20
	incomingStreamsMax = 4096
	anonymousLifeMax   = 30 * time.Second // enrolling or renewing takes one exchange
)

// Peer is who is at the other end; the zero Peer is anonymous.
type Peer = pki.Peer

func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:       HandshakeTimeout,
		MaxIdleTimeout:             IdleTimeout,
		EnableDatagrams:            true, // heartbeats
		MaxStreamReceiveWindow:     streamWindowMax,
		MaxConnectionReceiveWindow: connWindowMax,
		MaxIncomingStreams:         incomingStreamsMax,
		MaxIncomingUniStreams:      -1,
	}
}

// Trust says which servers a client believes: those of an authority it knows, or of
// the one whose key a join token pins.
type Trust struct {
	Pool   *x509.CertPool
	CAHash *[32]byte
	Now    func() time.Time // nil is time.Now
}

// TrustPool believes nodes that an authority of the pool signed.
func TrustPool(pool *x509.CertPool) Trust { return Trust{Pool: pool} }

// TrustHash believes nodes of the authority whose public key has this sha256.
func TrustHash(hash [32]byte) Trust { return Trust{CAHash: &hash} }

// verify identifies a server by the chain it sent. It runs within the handshake:
// when it refuses, nothing of ours has been sent but the greeting.
func (t Trust) verify(chain []*x509.Certificate, roles ...pki.Role) (Peer, error) {
	pool := t.Pool
	if t.CAHash != nil {
		var err error
		if pool, err = pki.PoolByHash(chain, *t.CAHash); err != nil {
			return Peer{}, err
		}
	}
	if pool == nil {
		return Peer{}, fmt.Errorf("%w: no authority to check it by", pki.ErrUntrusted)
	}
	peer, err := pki.Verify(chain, pool, x509.ExtKeyUsageServerAuth, clock(t.Now)())
	if err != nil {
		return Peer{}, err
	}
	for _, r := range roles {
		if peer.Role == r {
			return peer, nil
		}
	}
	return Peer{}, fmt.Errorf("%w: %s does not have a role of %q", pki.ErrUntrusted, peer, roles)
}

func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// clientTLS is the client's half of mutual TLS. The standard check by host name is
// off because nodes are known by authority and role; verify takes its place and runs
// on every handshake.
func clientTLS(id *pki.Identity, t Trust, roles ...pki.Role) *tls.Config {
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := t.verify(cs.PeerCertificates, roles...)
			return err
		},
		Time: t.Now,
	}
	if id != nil {
		cfg.GetClientCertificate = id.GetClientCertificate
	}
	return cfg
}

// verifyClient identifies a client by the chain it sent, if any. expired clients are
// let in; what they may open is another matter.
func verifyClient(chain []*x509.Certificate, pool *x509.CertPool, now time.Time) (peer Peer, expired bool, err error) {
	if len(chain) == 0 {
		return Peer{}, false, nil
	}
	peer, err = pki.Verify(chain, pool, x509.ExtKeyUsageClientAuth, now)
	if errors.Is(err, pki.ErrExpired) {
		return peer, true, nil
	}
	return peer, false, err
}

// serverTLS is the server's half. Resumption is off: each connection shows its
// certificate.
func serverTLS(id *pki.Identity, pool *x509.CertPool, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		GetCertificate:         id.GetCertificate,
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, _, err := verifyClient(cs.PeerCertificates, pool, now())
			return err
		},
		Time: now,
	}
}
