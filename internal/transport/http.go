package transport

import (
	"crypto/x509"
	"net/http"
	"time"

	"github.com/nanofleet/nanofleet/internal/pki"
)

// HTTPClient calls the TCP side of other nodes' fleet ports, coordinators and agents,
// as id: HTTP/1.1 over mutual TLS. There is no limit on a whole transfer, only on
// waiting for it to begin; bound it with the request's context.
func HTTPClient(id *pki.Identity, pool *x509.CertPool) *http.Client {
	cfg := clientTLS(id, TrustPool(pool), pki.RoleCoordinator, pki.RoleAgent)
	cfg.NextProtos = []string{"http/1.1"}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:       cfg,
		TLSHandshakeTimeout:   HandshakeTimeout,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   8,
		DisableCompression:    true, // weights do not compress
	}}
}

// RequestPeer is the node that sent a request to Listener.TCP: the handshake checked
// its certificate.
func RequestPeer(r *http.Request) (Peer, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Peer{}, pki.ErrNoPeer
	}
	return pki.PeerOf(r.TLS.PeerCertificates[0])
}
