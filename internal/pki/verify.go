package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Errors of Verify and PoolByHash.
var (
	ErrUntrusted = errors.New("pki: certificate not trusted")
	ErrExpired   = errors.New("pki: certificate expired")
	ErrPin       = errors.New("pki: authority does not have the pinned key")
)

// Verify checks a node's chain (leaf first) against roots at the time now and says
// who it is. A leaf that ended at most GraceTTL ago verifies with ErrExpired and its
// peer: it may renew and nothing else. Any other error comes with no peer.
func Verify(chain []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, now time.Time) (Peer, error) {
	if len(chain) == 0 {
		return Peer{}, fmt.Errorf("%w: empty chain", ErrUntrusted)
	}
	leaf := chain[0]
	expired := now.After(leaf.NotAfter)
	at := now
	if expired {
		if now.Sub(leaf.NotAfter) > GraceTTL {
			return Peer{}, fmt.Errorf("%w on %s, over %d days ago: join again with a new token",
				ErrUntrusted, leaf.NotAfter.UTC().Format(time.RFC3339), GraceTTL/(24*time.Hour))
		}
		at = leaf.NotAfter
	}
	opts := x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage}}
	if _, err := leaf.Verify(opts); err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	peer, err := PeerOf(leaf)
	if err != nil {
		return Peer{}, err
	}
	if expired {
		return peer, fmt.Errorf("%w: %s at %s", ErrExpired, peer, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return peer, nil
}

// PoolByHash finds the authority with that public key hash in a chain a server sent,
// as a newcomer does that holds only a token. ErrPin when it is not there.
func PoolByHash(chain []*x509.Certificate, hash [32]byte) (*x509.CertPool, error) {
	for _, c := range chain {
		if c.IsCA && KeyHash(c) == hash {
			pool := x509.NewCertPool()
			pool.AddCert(c)
			return pool, nil
		}
	}
	return nil, fmt.Errorf("%w: %d certificates shown, none is it", ErrPin, len(chain))
}
