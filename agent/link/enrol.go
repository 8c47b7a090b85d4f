package link

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// exchangeTimeout bounds one enrolment or renewal.
const exchangeTimeout = 15 * time.Second

// ErrRefused is wrapped by Enrol when a coordinator does not take the node or its
// token; its text says why.
var ErrRefused = errors.New("link: the fleet refused this node")

// Enrol joins the fleet, if the node has not: it spends the token for a certificate.
// It waits for a coordinator that can be reached, and gives up on a refusal or when
// no address is the token's fleet.
func (l *Link) Enrol(ctx context.Context) error {
	if l.joined(time.Now()) {
		return nil
	}
	token, err := l.token()
	if err != nil {
		return err
	}
	addrs, err := l.Coordinators()
	if err != nil {
		return err
	}
	pause := backoff{min: 50 * time.Millisecond, max: 2 * time.Second}
	for {
		err := l.enrolAny(ctx, addrs, token)
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.log.Info("cannot join yet", "reason", err)
		if !pause.pause(ctx) {
			return context.Cause(ctx)
		}
	}
}

// joined tells whether the node has a certificate that still opens something.
func (l *Link) joined(now time.Time) bool {
	leaf := l.identity.Leaf()
	return leaf != nil && now.Before(leaf.NotAfter.Add(pki.GraceTTL))
}

func (l *Link) token() (pki.Token, error) {
	if l.cfg.TokenFile == "" {
		return pki.Token{}, ErrNoToken
	}
	b, err := os.ReadFile(l.cfg.TokenFile)
	if err != nil {
		return pki.Token{}, fmt.Errorf("link: token-file: %w", err)
	}
	t, err := pki.ParseToken(string(b))
	if err != nil {
		return pki.Token{}, fmt.Errorf("link: token-file %s: %w", l.cfg.TokenFile, err)
	}
	return t, nil
}

// final tells whether trying again cannot help.
func final(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, pki.ErrPin) || errors.Is(err, pki.ErrUntrusted)
}

// enrolAny asks one coordinator after the other. A stranger at one address is no
// reason to give up while another may be the token's fleet.
func (l *Link) enrolAny(ctx context.Context, addrs []string, token pki.Token) error {
	var first, retry error
	for _, addr := range addrs {
		err := l.enrol(ctx, addr, token)
		switch {
		case err == nil || errors.Is(err, ErrRefused):
			return err
		case !final(err):
			retry = err
		case first == nil:
			first = err
		}
	}
	if retry != nil {
		return retry
	}
	return first
}

// enrol spends the token at one coordinator. The handshake fails, before anything of
// ours is sent, when the other side's authority is not the one that the token pins.
func (l *Link) enrol(ctx context.Context, addr string, token pki.Token) error {
	csr, err := l.identity.CSR(l.hostname)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := transport.Dial(ctx, addr, nil, transport.TrustHash(token.CAHash))
	if err != nil {
		return err
	}
	defer conn.Close("enrolled")
	got, err := l.exchange(ctx, conn, wire.StreamKind_STREAM_KIND_ENROL, func(st *transport.Stream) error {
		return wire.WriteFrame(st, &wire.EnrolRequest{
			TokenId: token.ID, TokenSecret: token.Secret, Csr: csr, Hostname: l.hostname,
		})
	})
	if err != nil {
		return err
	}
	if err := checkChain(got.GetChain(), token.CAHash, time.Now()); err != nil {
		return err
	}
	if err := l.install(got, addr); err != nil {
		return err
	}
	l.log.Info("joined the fleet", "node", l.identity.Peer().NodeID, "coordinator", addr)
	return nil
}

// exchange sends one request and reads the certificate, or the refusal.
func (l *Link) exchange(ctx context.Context, conn *transport.Conn, kind wire.StreamKind, send func(*transport.Stream) error) (*wire.Enrolled, error) {
	st, err := conn.OpenStream(ctx, l.header(kind))
	if err != nil {
		return nil, err
	}
	defer st.Close()
	defer context.AfterFunc(ctx, st.Cancel)()
	if err := send(st); err != nil {
		return nil, err
	}
	var resp wire.EnrolResponse
	if err := wire.ReadFrame(st, &resp); err != nil {
		return nil, err
	}
	if e := resp.GetError(); e != nil {
		return nil, fmt.Errorf("%w: %s", ErrRefused, e.GetMessage())
	}
	return resp.GetEnrolled(), nil
}

// install takes the certificate into use and keeps the addresses that came with it.
func (l *Link) install(got *wire.Enrolled, dialled string) error {
	if err := l.identity.Install(got.GetChain()); err != nil {
		return err
	}
	return l.learn(got.GetCoordinators(), dialled)
}

// checkChain makes sure that the certificate is of the pinned authority and of an
// agent.
func checkChain(chain [][]byte, caHash [32]byte, now time.Time) error {
	var certs []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("link: the certificate sent: %w", err)
		}
		certs = append(certs, c)
	}
	pool, err := pki.PoolByHash(certs, caHash)
	if err != nil {
		return err
	}
	peer, err := pki.Verify(certs, pool, x509.ExtKeyUsageClientAuth, now)
	if err != nil {
		return err
	}
	if peer.Role != pki.RoleAgent {
		return fmt.Errorf("%w: a certificate of role %q, want %q", pki.ErrUntrusted, peer.Role, pki.RoleAgent)
	}
	return nil
}
