package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"
)

// serverTTL of a certificate shown to apps.
const serverTTL = 7 * 24 * time.Hour

// ServerCert makes a key and a certificate for the address that apps call. It names
// hosts (names or IP addresses) and no node, so that it opens nothing in the fleet.
func (ca *CA) ServerCert(hosts []string, now time.Time) (*tls.Certificate, error) {
	if len(hosts) == 0 {
		return nil, fmt.Errorf("pki: a server certificate needs at least one host")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: server key: %w", err)
	}
	template := leafTemplate(hosts[0], serverTTL, now, hosts)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	chain, err := ca.issue(template, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("pki: server certificate: %w", err)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// ServerTLS serves apps with a certificate for hosts that is made anew at half its
// life, however long the process runs.
func (ca *CA) ServerTLS(hosts []string, now func() time.Time) *tls.Config {
	s := &server{ca: ca, hosts: hosts, now: now}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get}
}

type server struct {
	ca    *CA
	hosts []string
	now   func() time.Time

	mu   sync.Mutex
	cert *tls.Certificate
}

func (s *server) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.cert != nil && now.Before(s.cert.Leaf.NotAfter.Add(-serverTTL/2)) {
		return s.cert, nil
	}
	cert, err := s.ca.ServerCert(s.hosts, now)
	if err != nil {
		return nil, err
	}
	s.cert = cert
	return cert, nil
}
