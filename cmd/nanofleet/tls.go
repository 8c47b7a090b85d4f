package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// caFile is the fleet's certificate authority as `up` and operators copy it around.
const caFile = "ca.crt"

// transport trusts the system's authorities and, for https, the fleet's own where
// its certificate lies in the data directory.
func (o *options) transport(server string) (http.RoundTripper, error) {
	if !strings.HasPrefix(server, "https://") {
		return nil, nil
	}
	pem, err := os.ReadFile(filepath.Join(o.data, caFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Join(o.data, caFile))
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}
