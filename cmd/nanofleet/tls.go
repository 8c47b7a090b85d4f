package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// Certificates that `up` leaves in its data directory for clients.
const (
	caFile  = "ca.crt"  // the fleet's authority, as operators copy it around
	apiFile = "api.crt" // the operator's own certificate, when the API has one
)

// transport trusts, for https, the system's authorities, the fleet's own where its
// certificate lies in the data directory, and the very certificate that `up` was
// given, whatever names it holds: on this host the API is reached by its address.
func (o *options) transport(server string) (http.RoundTripper, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" {
		return nil, err
	}
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	own, err := readCert(filepath.Join(o.data, apiFile))
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if own != nil {
		t.TLSClientConfig.InsecureSkipVerify = true // the next line verifies
		t.TLSClientConfig.VerifyConnection = func(cs tls.ConnectionState) error {
			return verify(cs.PeerCertificates, own, roots, u.Hostname())
		}
	}
	return t, nil
}

// roots are the system's authorities and the fleet's.
func (o *options) roots() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	ca, err := o.authority()
	if err != nil {
		return nil, err
	}
	if ca != nil {
		pool.AddCert(ca)
	}
	return pool, nil
}

// authority is the fleet's: named by a flag or the environment, or in the data directory.
func (o *options) authority() (*x509.Certificate, error) {
	path := o.caFile
	if path == "" {
		path = os.Getenv("NANOFLEET_CA_CERT")
	}
	if path == "" {
		return readCert(filepath.Join(o.data, caFile))
	}
	ca, err := readCert(path)
	if err == nil && ca == nil {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, usagef("--ca-cert %s: %w", path, err)
	}
	return ca, nil
}

// readCert reads the first certificate of a file; nil when there is none.
func readCert(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// verify accepts own, and else what a client usually accepts.
func verify(chain []*x509.Certificate, own *x509.Certificate, roots *x509.CertPool, host string) error {
	if chain[0].Equal(own) {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between})
	return err
}

// leaveOwnCert leaves a copy of the API's own certificate for clients of this host,
// or none where it has none.
func leaveOwnCert(data, certFile string) error {
	path := filepath.Join(data, apiFile)
	if certFile == "" {
		if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	cert, err := readCert(certFile)
	if err == nil && cert == nil {
		err = os.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644)
}
