package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
)

// Role of a node: what it may ask of others.
type Role string

// Roles. The zero Role is a peer without a certificate, which may only enrol.
const (
	RoleNone        Role = ""
	RoleCoordinator Role = "coordinator"
	RoleAgent       Role = "agent"
)

// Peer names a node as its certificate does.
type Peer struct {
	Role   Role
	NodeID string
}

// ErrNoPeer is returned by PeerOf for a certificate that names no node.
var ErrNoPeer = errors.New("pki: certificate names no node")

const scheme = "nanofleet"

// nodeID keeps ids printable and safe in paths, URIs and log lines.
var nodeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Anonymous tells whether the peer showed no certificate.
func (p Peer) Anonymous() bool { return p.Role == RoleNone }

// String is the SAN URI of the peer.
func (p Peer) String() string {
	if p.Anonymous() {
		return "anonymous"
	}
	return p.uri().String()
}

func (p Peer) uri() *url.URL {
	return &url.URL{Scheme: scheme, Host: string(p.Role), Path: "/" + p.NodeID}
}

// Validate names what is wrong with the peer's role or id.
func (p Peer) Validate() error {
	if p.Role != RoleCoordinator && p.Role != RoleAgent {
		return fmt.Errorf("pki: role %q is neither %q nor %q", p.Role, RoleCoordinator, RoleAgent)
	}
	if !nodeID.MatchString(p.NodeID) {
		return fmt.Errorf("pki: node id %q is not 1 to 64 of the characters A-Z a-z 0-9 . _ -", p.NodeID)
	}
	return nil
}

// PeerOf reads the one nanofleet URI of a certificate. It does not verify the
// certificate.
func PeerOf(cert *x509.Certificate) (Peer, error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != scheme {
		return Peer{}, fmt.Errorf("%w: it has %d URIs, want one of nanofleet://", ErrNoPeer, len(cert.URIs))
	}
	u := cert.URIs[0]
	if len(u.Path) < 2 {
		return Peer{}, fmt.Errorf("%w: %s", ErrNoPeer, u)
	}
	p := Peer{Role: Role(u.Host), NodeID: u.Path[1:]}
	if err := p.Validate(); err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrNoPeer, err)
	}
	if p.uri().String() != u.String() {
		return Peer{}, fmt.Errorf("%w: %s has more than role and node", ErrNoPeer, u)
	}
	return p, nil
}

// KeyHash is the sha256 of a certificate's public key: it stays when the certificate
// is renewed.
func KeyHash(cert *x509.Certificate) [32]byte { return HashKey(cert.RawSubjectPublicKeyInfo) }

// HashKey is the sha256 of a public key in its SubjectPublicKeyInfo form (DER).
func HashKey(spki []byte) [32]byte { return sha256.Sum256(spki) }
