package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// lasting tells whether a connection failed for a reason that waiting does not mend: a
// name that nobody has, a port that nobody listens on, a certificate that is not
// trusted.
func lasting(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &dns):
		return dns.IsNotFound
	case errors.As(err, &certificate), errors.As(err, &authority):
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
