package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/nanofleet/nanofleet/internal/atomicfile"
)

// Lifetimes.
const (
	CATTL    = 10 * 365 * 24 * time.Hour
	NodeTTL  = 24 * time.Hour      // renewed at half of it
	GraceTTL = 30 * 24 * time.Hour // after its end a node's certificate still opens RENEW
)

// backdate lets a node whose clock is behind use its certificate at once.
const backdate = 5 * time.Minute

// ErrExists is returned by CreateCA when the directory holds an authority.
var ErrExists = errors.New("pki: authority exists")

// CA signs the fleet's certificates (ECDSA P-256). It is safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// CreateCA makes an authority and keeps it in dir as ca.crt and ca.key (0600).
func CreateCA(dir string, now time.Time) (*CA, error) {
	if _, err := os.Stat(filepath.Join(dir, "ca.key")); err == nil {
		return nil, fmt.Errorf("%w in %s", ErrExists, dir)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: authority key: %w", err)
	}
	cert, err := selfSign(key, now)
	if err != nil {
		return nil, err
	}
	// The key comes last: an authority exists once its key does.
	if err := writeCerts(filepath.Join(dir, "ca.crt"), [][]byte{cert.Raw}); err != nil {
		return nil, err
	}
	if err := writeKey(filepath.Join(dir, "ca.key"), key); err != nil {
		return nil, err
	}
	return &CA{cert: cert, key: key}, nil
}

func selfSign(key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "nanofleet CA"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(CATTL),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("pki: sign authority: %w", err)
	}
	return x509.ParseCertificate(der)
}

// LoadCA reads the authority that CreateCA left in dir; fs.ErrNotExist without one.
func LoadCA(dir string) (*CA, error) {
	key, err := readKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	certs, err := readCerts(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, fmt.Errorf("pki: ca.key is not the key of ca.crt in %s", dir)
	}
	return &CA{cert: certs[0], key: key}, nil
}

// OpenCA loads the authority of dir, or creates one.
func OpenCA(dir string, now time.Time) (*CA, error) {
	ca, err := LoadCA(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
		return CreateCA(dir, now)
	}
	return ca, err
}

// Hash is the sha256 of the authority's public key, which join tokens pin.
func (ca *CA) Hash() [32]byte { return KeyHash(ca.cert) }

// Certificate of the authority.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Pool holds the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Sign answers a certificate request: the key is the requester's, all else is ours.
// hosts (names or IP addresses) are added as SANs and may be empty. The chain is DER,
// leaf first, authority last.
func (ca *CA) Sign(csr []byte, peer Peer, ttl time.Duration, now time.Time, hosts ...string) ([][]byte, error) {
	if err := peer.Validate(); err != nil {
		return nil, err
	}
	req, err := ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	leaf := leafTemplate(peer.NodeID, ttl, now, hosts)
	leaf.URIs = []*url.URL{peer.uri()}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	return ca.issue(leaf, req.PublicKey)
}

func leafTemplate(name string, ttl time.Duration, now time.Time, hosts []string) *x509.Certificate {
	leaf := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(ttl),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	return leaf
}

func (ca *CA) issue(leaf *x509.Certificate, pub any) ([][]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	leaf.SerialNumber = serial
	if leaf.NotAfter.After(ca.cert.NotAfter) {
		leaf.NotAfter = ca.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.cert, pub, ca.key)
	if err != nil {
		return nil, fmt.Errorf("pki: sign certificate of %s: %w", leaf.Subject.CommonName, err)
	}
	return [][]byte{der, ca.cert.Raw}, nil
}

// newSerial draws 127 random bits, as RFC 5280 4.1.2.2 allows (at most 20 octets, positive).
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("pki: serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// writeCerts keeps a chain as PEM.
func writeCerts(path string, chain [][]byte) error {
	return atomicfile.Write(path, encodeCerts(chain), 0o600)
}
