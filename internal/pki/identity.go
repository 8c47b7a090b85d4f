package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// ErrNotEnrolled is returned where an Identity has no certificate yet.
var ErrNotEnrolled = errors.New("pki: no certificate yet")

// ErrWrongKey is returned by Install for a certificate of another key.
var ErrWrongKey = errors.New("pki: certificate is not of this node's key")

// Identity is a node's key and present certificate, kept in a directory as node.key
// and node.crt (0600). Install replaces the certificate while connections use it; it
// is safe for concurrent use.
type Identity struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert atomic.Pointer[tls.Certificate] // nil before enrolment
}

// OpenIdentity loads the identity of dir; without a key it makes one, which stays
// for the node's life.
func OpenIdentity(dir string) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	key, err := openKey(filepath.Join(dir, "node.key"))
	if err != nil {
		return nil, err
	}
	id := &Identity{dir: dir, key: key}
	certs, err := readCerts(id.certPath())
	if errors.Is(err, fs.ErrNotExist) {
		return id, nil
	}
	if err != nil {
		return nil, err
	}
	return id, id.use(certs)
}

func openKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("pki: node key: %w", err)
	}
	return key, writeKey(path, key)
}

func (id *Identity) certPath() string { return filepath.Join(id.dir, "node.crt") }

// use makes a chain (leaf first, authority last) the present one, in memory.
func (id *Identity) use(certs []*x509.Certificate) error {
	leaf, root := certs[0], certs[len(certs)-1]
	if !id.key.PublicKey.Equal(leaf.PublicKey) {
		return ErrWrongKey
	}
	if _, err := PeerOf(leaf); err != nil {
		return err
	}
	if len(certs) < 2 || !root.IsCA {
		return fmt.Errorf("pki: chain of %d certificates does not end with its authority", len(certs))
	}
	chain := make([][]byte, len(certs))
	for i, c := range certs {
		chain[i] = c.Raw
	}
	id.cert.Store(&tls.Certificate{Certificate: chain, PrivateKey: id.key, Leaf: leaf})
	return nil
}

// Install puts a newly signed chain (DER, leaf first, authority last) on the disk and
// then into use for every handshake from now on.
func (id *Identity) Install(chain [][]byte) error {
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("pki: certificate %d of the chain: %w", i, err)
		}
		certs[i] = c
	}
	if len(certs) == 0 {
		return fmt.Errorf("pki: empty chain")
	}
	next := &Identity{key: id.key}
	if err := next.use(certs); err != nil {
		return err
	}
	if err := writeCerts(id.certPath(), chain); err != nil {
		return err
	}
	id.cert.Store(next.cert.Load())
	return nil
}

// CSR asks for this identity's next certificate.
func (id *Identity) CSR(name string) ([]byte, error) { return NewCSR(id.key, name) }

// Enrolled tells whether there is a certificate, valid or expired.
func (id *Identity) Enrolled() bool { return id.cert.Load() != nil }

// Leaf is the present certificate, or nil before enrolment.
func (id *Identity) Leaf() *x509.Certificate {
	if c := id.cert.Load(); c != nil {
		return c.Leaf
	}
	return nil
}

// Peer is who the present certificate says we are; anonymous before enrolment.
func (id *Identity) Peer() Peer {
	leaf := id.Leaf()
	if leaf == nil {
		return Peer{}
	}
	p, err := PeerOf(leaf)
	if err != nil {
		return Peer{} // use() let in none of these
	}
	return p
}

// RenewAt is half of the certificate's life; the zero time before enrolment.
func (id *Identity) RenewAt() time.Time {
	leaf := id.Leaf()
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
}

// Authority is the certificate at the chain's end, or nil before enrolment.
func (id *Identity) Authority() *x509.Certificate {
	c := id.cert.Load()
	if c == nil {
		return nil
	}
	root, err := x509.ParseCertificate(c.Certificate[len(c.Certificate)-1])
	if err != nil {
		return nil // Install parsed it before
	}
	return root
}

// Pool holds the fleet's authority; it is empty before enrolment and then trusts
// nobody.
func (id *Identity) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	if root := id.Authority(); root != nil {
		pool.AddCert(root)
	}
	return pool
}

// GetCertificate serves tls.Config as a server.
func (id *Identity) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := id.cert.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNotEnrolled
}

// GetClientCertificate serves tls.Config as a client: before enrolment it shows none.
func (id *Identity) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if c := id.cert.Load(); c != nil {
		return c, nil
	}
	return &tls.Certificate{}, nil
}

// Derive makes a secret from the node's key that is the same at every start and tells
// nothing about the key or secrets of other labels.
func (id *Identity) Derive(label string) ([32]byte, error) {
	raw, err := id.key.Bytes()
	if err != nil {
		return [32]byte{}, fmt.Errorf("pki: derive %s: %w", label, err)
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("nanofleet " + label))
	return [32]byte(mac.Sum(nil)), nil
}
