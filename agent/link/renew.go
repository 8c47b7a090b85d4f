package link

import (
	"context"
	"time"

	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// renewAlways asks for a new certificate at half of the present one's life, or at
// once when that is past, and tries until it has one. Connections need not begin
// anew: a peer is who it was when it connected.
func (l *Link) renewAlways(ctx context.Context, addrs []string) {
	pause := backoff{min: 250 * time.Millisecond, max: time.Minute}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(l.identity.RenewAt())):
		}
		err := l.renewAny(ctx, addrs)
		if err == nil {
			pause.reset()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("cannot renew the certificate", "until", l.identity.Leaf().NotAfter, "reason", err)
		if !pause.pause(ctx) {
			return
		}
	}
}

func (l *Link) renewAny(ctx context.Context, addrs []string) (err error) {
	for _, addr := range addrs {
		if err = l.renew(ctx, addr); err == nil {
			return nil
		}
	}
	return err
}

// renew asks one coordinator, on a connection of its own: an expired certificate
// opens nothing else.
func (l *Link) renew(ctx context.Context, addr string) error {
	csr, err := l.identity.CSR(l.hostname)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := transport.Dial(ctx, addr, l.identity, transport.TrustPool(l.identity.Pool()))
	if err != nil {
		return err
	}
	defer conn.Close("renewed")
	got, err := l.exchange(ctx, conn, wire.StreamKind_STREAM_KIND_RENEW, func(st *transport.Stream) error {
		return wire.WriteFrame(st, &wire.RenewRequest{Csr: csr})
	})
	if err != nil {
		return err
	}
	if err := l.install(got, addr); err != nil {
		return err
	}
	l.log.Info("certificate renewed", "until", l.identity.Leaf().NotAfter)
	return nil
}
