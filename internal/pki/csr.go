package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
)

// ErrBadCSR is returned for a certificate request that cannot be signed.
var ErrBadCSR = errors.New("pki: certificate request")

// csrMax bounds a request: ours are under 300 bytes.
const csrMax = 8 << 10

// NewCSR asks for a certificate of key; name is for people only, the authority sets
// role and id. PKCS #10, DER.
func NewCSR(key crypto.Signer, name string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, fmt.Errorf("pki: create certificate request: %w", err)
	}
	return der, nil
}

// ParseCSR parses a request, checks that its sender holds the key, and that the key
// is of the kind this fleet uses.
func ParseCSR(der []byte) (*x509.CertificateRequest, error) {
	if len(der) > csrMax {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrBadCSR, len(der), csrMax)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCSR, err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCSR, err)
	}
	if key, ok := req.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: key is %v, want ECDSA P-256", ErrBadCSR, req.PublicKeyAlgorithm)
	}
	return req, nil
}
