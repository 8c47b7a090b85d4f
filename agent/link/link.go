package link

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// Host is the agent as its coordinators see it.
type Host interface {
	// Devices describes what engines can run on; called once per session.
	Devices() []*wire.Device
	// Telemetry is the state of the host now.
	Telemetry() *wire.Telemetry
	// Changed gives a channel that is closed when Telemetry is worth sending at once.
	Changed() <-chan struct{}
	// Apply hands over everything the node shall run. It returns without waiting for
	// the work.
	Apply(*wire.Desired)
	// Generate serves a request stream to its end.
	Generate(ctx context.Context, st *transport.Stream, header *wire.StreamHeader)
}

// Config of a Link.
type Config struct {
	Dir          string   // where identity, addresses and desired state are kept
	Coordinators []string // fleet addresses; empty = those learnt when the node joined
	TokenFile    string   // holds a join token; needed until the node has joined
	Version      string   // of the binary
	Log          *slog.Logger
}

// ErrNoToken is returned by Enrol when the node has no certificate and no token.
var ErrNoToken = errors.New("link: this node has not joined a fleet: make a token with `nanofleet token create` and start the agent with --token-file")

// ErrNoCoordinators is returned by Enrol and Run when no address is known.
var ErrNoCoordinators = errors.New("link: coordinators: none is given and none was learnt, at least one is needed")

// Link is this node's membership of a fleet.
type Link struct {
	cfg      Config
	hostname string
	identity *pki.Identity
	log      *slog.Logger

	mu   sync.Mutex // held while a desired state is compared, kept and handed over
	held held
}

// Open loads what is kept in cfg.Dir.
func Open(cfg Config) (*Link, error) {
	id, err := pki.OpenIdentity(filepath.Join(cfg.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{cfg: cfg, hostname: hostname, identity: id, log: cfg.Log}
	if l.held, err = loadHeld(l.heldPath()); err != nil {
		// A fleet can say again what it wants; a broken file must not stop a node.
		l.log.Warn("the kept desired state is not readable", "error", err)
	}
	return l, nil
}

// Identity is the node's.
func (l *Link) Identity() *pki.Identity { return l.identity }

// Desired is the state last handed over, by an earlier agent on this host too; nil
// when there was none.
func (l *Link) Desired() *wire.Desired {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held.desired
}

// Run keeps the certificate fresh and a session with every coordinator until ctx
// ends.
func (l *Link) Run(ctx context.Context, host Host) error {
	addrs, err := l.Coordinators()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { l.renewAlways(ctx, addrs); return nil })
	for _, addr := range addrs {
		g.Go(func() error { l.keepSession(ctx, addr, host); return nil })
	}
	return g.Wait()
}

// usable tells why the certificate opens no session, if so.
func usable(leaf *x509.Certificate, now time.Time) error {
	switch {
	case leaf == nil:
		return pki.ErrNotEnrolled
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w at %s", pki.ErrExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

func (l *Link) header(kind wire.StreamKind) *wire.StreamHeader {
	return &wire.StreamHeader{Capability: wire.Capability, Kind: kind}
}
