package transport

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/wire"
)

var allKinds = []wire.StreamKind{enrolKind, renewKind, sessionKind, generateKind, controlKind, raftKind}

// Every role against every kind, over a real connection.
func TestWhoMayOpenWhat(t *testing.T) {
	f := newFleet(t)
	l := f.server(Options{})
	for _, c := range []struct {
		name string
		id   *pki.Identity
		may  []wire.StreamKind
	}{
		{"anonymous", nil, []wire.StreamKind{enrolKind}},
		{"agent", f.node(pki.RoleAgent, "a1", 0), []wire.StreamKind{enrolKind, renewKind, sessionKind}},
		{"coordinator", f.node(pki.RoleCoordinator, "c2", 0), []wire.StreamKind{enrolKind, renewKind, generateKind, raftKind}},
		{"expired agent", f.node(pki.RoleAgent, "a2", 25*time.Hour), []wire.StreamKind{renewKind}},
		{"expired coordinator", f.node(pki.RoleCoordinator, "c3", 30*24*time.Hour), []wire.StreamKind{renewKind}},
	} {
		client, server := connect(t, l, c.id, TrustHash(f.ca.Hash()))
		if server.Expired() != strings.HasPrefix(c.name, "expired") || server.Peer().Anonymous() != (c.id == nil) {
			t.Errorf("%s: server sees %v, expired %v", c.name, server.Peer(), server.Expired())
		}
		for _, kind := range allKinds {
			if contains(c.may, kind) {
				exchange(t, client, server, kind)
				continue
			}
			s, err := client.OpenStream(bounded(t), &wire.StreamHeader{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrDenied) {
				t.Errorf("%s opens %v: %v, want ErrDenied", c.name, kind, err)
			}
		}
	}
}

func contains(kinds []wire.StreamKind, k wire.StreamKind) bool {
	for _, x := range kinds {
		if x == k {
			return true
		}
	}
	return false
}

// A newcomer that holds a token of another fleet sends nothing: the handshake fails
// before its certificate or any stream, so the server never sees a connection.
func TestPinnedHashIsCheckedFirst(t *testing.T) {
	ours, theirs := newFleet(t), newFleet(t)
	l := theirs.server(Options{})
	for name, trust := range map[string]Trust{
		"other authority's hash": TrustHash(ours.ca.Hash()),
		"other authority":        TrustPool(ours.ca.Pool()),
		"no trust":               {},
	} {
		_, err := Dial(bounded(t), l.Addr().String(), ours.node(pki.RoleAgent, "a1", 0), trust)
		if err == nil {
			t.Errorf("%s: connected", name)
		}
		if trust.CAHash != nil && !errors.Is(err, pki.ErrPin) {
			t.Errorf("%s: %v, want pki.ErrPin", name, err)
		}
		if trust.CAHash == nil && !errors.Is(err, pki.ErrUntrusted) {
			t.Errorf("%s: %v, want pki.ErrUntrusted", name, err)
		}
	}
	// The next connection accepted is this one: none of the above came through.
	_, server := connect(t, l, theirs.node(pki.RoleAgent, "theirs", 0), TrustHash(theirs.ca.Hash()))
	if server.Peer().NodeID != "theirs" {
		t.Errorf("accepted %v", server.Peer())
	}
}

// Only a coordinator may answer: an agent that listens is refused even with a
// certificate of the fleet, and so is an expired coordinator.
func TestServerMustBeACoordinator(t *testing.T) {
	f := newFleet(t)
	for name, id := range map[string]*pki.Identity{
		"agent":   f.node(pki.RoleAgent, "a1", 0),
		"expired": f.node(pki.RoleCoordinator, "c1", 25*time.Hour),
	} {
		l := f.listen("127.0.0.1:0", id, Options{})
		if _, err := Dial(bounded(t), l.Addr().String(), nil, TrustPool(f.ca.Pool())); err == nil {
			t.Errorf("connected to a server that is %s", name)
		}
	}
}

// A client whose certificate is of another fleet, or ended too long ago, is cut off
// within the handshake. The client learns it when the server's alert arrives.
func TestForeignAndLongExpiredClientsAreRefused(t *testing.T) {
	f, other := newFleet(t), newFleet(t)
	l := f.server(Options{})
	for name, id := range map[string]*pki.Identity{
		"foreign":      other.node(pki.RoleCoordinator, "c9", 0),
		"long expired": f.node(pki.RoleAgent, "a1", pki.NodeTTL+pki.GraceTTL+time.Hour),
		"not yet":      f.node(pki.RoleAgent, "a2", -time.Hour),
	} {
		c, err := Dial(bounded(t), l.Addr().String(), id, TrustPool(f.ca.Pool()))
		if err != nil {
			continue // the alert came before the handshake ended on this side
		}
		<-c.Done()
		if c.Err() == nil {
			t.Errorf("%s: connection ended without an error", name)
		}
	}
	_, server := connect(t, l, f.node(pki.RoleAgent, "a3", 0), TrustPool(f.ca.Pool()))
	if server.Peer().NodeID != "a3" {
		t.Errorf("accepted %v, want the valid agent only", server.Peer())
	}
}

func TestRevokedNodeIsToldWhy(t *testing.T) {
	f := newFleet(t)
	revoked := errors.New("node a1 was removed from the fleet")
	l := f.server(Options{Admit: func(p Peer, _ *x509.Certificate) error {
		if p.NodeID == "a1" {
			return revoked
		}
		return nil
	}})
	for _, age := range []time.Duration{0, 25 * time.Hour} {
		accepted := make(chan *Conn)
		go func() {
			c, err := l.Accept(bounded(t))
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		c, err := Dial(bounded(t), l.Addr().String(), f.node(pki.RoleAgent, "a1", age), TrustPool(f.ca.Pool()))
		if err == nil {
			<-c.Done()
			err = c.Err()
		}
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), revoked.Error()) {
			t.Errorf("got %v, want ErrRefused saying %q", err, revoked)
		}
		good, err := Dial(bounded(t), l.Addr().String(), f.node(pki.RoleAgent, "a2", 0), TrustPool(f.ca.Pool()))
		if err != nil {
			t.Fatal(err)
		}
		if server := <-accepted; server == nil || server.Peer().NodeID != "a2" {
			t.Errorf("accepted %v, want the agent that is not revoked", server)
		}
		good.Close("done")
	}
}

// A certificate renewed while connections live is shown by the next connection.
func TestRenewalNeedsNoRestart(t *testing.T) {
	f := newFleet(t)
	l := f.server(Options{})
	id := f.node(pki.RoleAgent, "a1", 25*time.Hour)
	_, server := connect(t, l, id, TrustPool(id.Pool()))
	if !server.Expired() {
		t.Fatal("certificate of yesterday is not expired")
	}
	csr, err := id.CSR("a1")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := f.ca.Sign(csr, id.Peer(), pki.NodeTTL, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Install(chain); err != nil {
		t.Fatal(err)
	}
	if _, server := connect(t, l, id, TrustPool(id.Pool())); server.Expired() {
		t.Error("the renewed certificate was not used")
	}
}
