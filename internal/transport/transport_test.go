package transport

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/wire"
)

// fleet is an authority and identities it signed.
type fleet struct {
	t  *testing.T
	ca *pki.CA
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now().Add(-60*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &fleet{t, ca}
}

// node makes an identity whose certificate was signed that long ago.
func (f *fleet) node(role pki.Role, name string, ago time.Duration) *pki.Identity {
	f.t.Helper()
	id, err := pki.OpenIdentity(f.t.TempDir())
	if err != nil {
		f.t.Fatal(err)
	}
	csr, err := id.CSR(name)
	if err != nil {
		f.t.Fatal(err)
	}
	chain, err := f.ca.Sign(csr, pki.Peer{Role: role, NodeID: name}, pki.NodeTTL, time.Now().Add(-ago))
	if err != nil {
		f.t.Fatal(err)
	}
	if err := id.Install(chain); err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fleet) listen(addr string, id *pki.Identity, opts Options) *Listener {
	f.t.Helper()
	l, err := Listen(addr, id, f.ca.Pool(), opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = l.Close() }) // some tests closed it before
	return l
}

func (f *fleet) server(opts Options) *Listener {
	return f.listen("127.0.0.1:0", f.node(pki.RoleCoordinator, "c1", 0), opts)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// connect returns both ends of a connection to l.
func connect(t *testing.T, l *Listener, id *pki.Identity, trust Trust) (client, server *Conn) {
	t.Helper()
	ctx := bounded(t)
	client, err := Dial(ctx, l.Addr().String(), id, trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close("test over") })
	if server, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// exchange opens a stream from a to b and returns both ends.
func exchange(t *testing.T, a, b *Conn, kind wire.StreamKind) (opened, accepted *Stream) {
	t.Helper()
	ctx := bounded(t)
	opened, err := a.OpenStream(ctx, &wire.StreamHeader{Capability: wire.Capability, Kind: kind, RequestId: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	accepted, header, err := b.AcceptStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if header.GetKind() != kind || header.GetRequestId() != "r1" {
		t.Fatalf("header %v, want kind %v of r1", header, kind)
	}
	return opened, accepted
}

const (
	enrolKind    = wire.StreamKind_STREAM_KIND_ENROL
	renewKind    = wire.StreamKind_STREAM_KIND_RENEW
	sessionKind  = wire.StreamKind_STREAM_KIND_SESSION
	generateKind = wire.StreamKind_STREAM_KIND_GENERATE
	controlKind  = wire.StreamKind_STREAM_KIND_CONTROL
	raftKind     = wire.StreamKind_STREAM_KIND_RAFT
)

func TestBothSidesKnowEachOther(t *testing.T) {
	f := newFleet(t)
	l := f.server(Options{})
	client, server := connect(t, l, f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	if got, want := server.Peer(), (Peer{Role: pki.RoleAgent, NodeID: "a1"}); got != want {
		t.Errorf("server sees %v, want %v", got, want)
	}
	if got, want := client.Peer(), (Peer{Role: pki.RoleCoordinator, NodeID: "c1"}); got != want {
		t.Errorf("client sees %v, want %v", got, want)
	}
	up, upEnd := exchange(t, client, server, sessionKind)
	down, downEnd := exchange(t, server, client, generateKind)
	for _, pair := range [][2]*Stream{{up, upEnd}, {upEnd, up}, {down, downEnd}, {downEnd, down}} {
		if _, err := pair[0].Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(pair[1], got); err != nil || string(got) != "hello" {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

func TestHalfClose(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	a, b := exchange(t, client, server, sessionKind)
	question, answer := bytes.Repeat([]byte("q"), 1<<20), bytes.Repeat([]byte("a"), 1<<20)
	done := make(chan error, 1)
	go func() {
		_, err := a.Write(question)
		done <- errors.Join(err, a.CloseWrite())
	}()
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, question) {
		t.Fatalf("question of %d bytes, %v", len(got), err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := b.Write(answer)
		done <- errors.Join(err, b.Close())
	}()
	if got, err := io.ReadAll(a); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("answer of %d bytes after our half ended, %v", len(got), err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCancelReachesTheOtherSide(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	a, b := exchange(t, client, server, sessionKind)
	a.Cancel()
	if _, err := io.ReadAll(b); !errors.Is(err, ErrCancelled) {
		t.Errorf("read: %v, want ErrCancelled", err)
	}
	if err := writeUntilError(b); !errors.Is(err, ErrCancelled) {
		t.Errorf("write: %v, want ErrCancelled", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, ErrCancelled) {
		t.Errorf("write after own Cancel: %v, want ErrCancelled", err)
	}
}

// writeUntilError writes past every window, so that it ends only with an error.
func writeUntilError(s *Stream) error {
	for buf := make([]byte, 64<<10); ; {
		if _, err := s.Write(buf); err != nil {
			return err
		}
	}
}

func TestCloseUnblocksReadAndWrite(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	a, _ := exchange(t, client, server, sessionKind)
	read, write := make(chan error, 1), make(chan error, 1)
	go func() { _, err := a.Read(make([]byte, 1)); read <- err }()
	go func() { write <- writeUntilError(a) }()
	for a.writing.TryLock() { // until the writer is at work
		a.writing.Unlock()
		time.Sleep(time.Millisecond)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, ErrCancelled) {
		t.Errorf("read: %v, want ErrCancelled", err)
	}
	if err := <-write; !errors.Is(err, ErrCancelled) {
		t.Errorf("write: %v, want ErrCancelled", err)
	}
}

func TestDeadline(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	a, _ := exchange(t, client, server, sessionKind)
	if err := a.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := a.Read(make([]byte, 1))
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want os.ErrDeadlineExceeded and a net.Error timeout", err)
	}
}

func TestCloseTellsThePeerWhy(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	if client.Err() != nil {
		t.Fatalf("live connection has an error: %v", client.Err())
	}
	server.Close("moving house")
	<-client.Done()
	if err := client.Err(); !errors.Is(err, ErrClosed) || !bytes.Contains([]byte(err.Error()), []byte("moving house")) {
		t.Errorf("got %v, want ErrClosed and the reason", err)
	}
	if _, err := client.OpenStream(bounded(t), &wire.StreamHeader{}); !errors.Is(err, ErrClosed) {
		t.Errorf("OpenStream: %v, want ErrClosed", err)
	}
	if _, _, err := client.AcceptStream(bounded(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("AcceptStream: %v, want ErrClosed", err)
	}
}

func TestListenerCloseEndsItsConnections(t *testing.T) {
	f := newFleet(t)
	l := f.server(Options{})
	client, _ := connect(t, l, f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-client.Done()
	if err := client.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if _, err := l.Accept(bounded(t)); err == nil {
		t.Error("accepted on a closed listener")
	}
}

func TestContextEndsWaiting(t *testing.T) {
	f := newFleet(t)
	l := f.server(Options{})
	client, server := connect(t, l, f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := server.AcceptStream(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("AcceptStream: %v", err)
	}
	if _, err := client.OpenStream(ctx, &wire.StreamHeader{}); !errors.Is(err, context.Canceled) {
		t.Errorf("OpenStream: %v", err)
	}
	if _, err := l.Accept(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := Dial(ctx, l.Addr().String(), nil, TrustPool(f.ca.Pool())); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
}

// A header that never comes holds up no other stream, and one that is too long or no
// header is cut off.
func TestHeadersAreReadApart(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	for _, first := range [][]byte{{0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 2, 0xff, 0xff}} {
		q, err := client.quic.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Write(first); err != nil {
			t.Fatal(err)
		}
	}
	long := &wire.StreamHeader{Kind: sessionKind, RequestId: string(make([]byte, headerMax))}
	s, err := client.OpenStream(bounded(t), long)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrCancelled) {
		t.Errorf("header over %d bytes: %v, want ErrCancelled", headerMax, err)
	}
	exchange(t, client, server, sessionKind)
}

// A process that was killed and started again on the same port answers the old
// connection's packets with a stateless reset: the client need not wait for silence.
func TestRestartOnTheSamePortIsNoticed(t *testing.T) {
	f := newFleet(t)
	id := f.node(pki.RoleCoordinator, "c1", 0)
	first := f.listen("127.0.0.1:0", id, Options{})
	addr := first.Addr().String()
	client, _ := connect(t, first, f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	kill(t, first)
	second := f.listen(addr, id, Options{})
	<-client.Done()
	err := client.Err()
	if !errors.Is(err, ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
	var reset *quic.StatelessResetError
	if !errors.As(err, &reset) {
		t.Errorf("noticed by %v: no stateless reset, only silence", err)
	}
	connect(t, second, f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
}

// kill takes the sockets away without a goodbye, as the end of a process does.
func kill(t *testing.T, l *Listener) {
	t.Helper()
	if err := errors.Join(l.tcp.Close(), l.udp.Conn.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestUDPAndTCPShareThePort(t *testing.T) {
	f := newFleet(t)
	l := f.server(Options{})
	_, udp, _ := net.SplitHostPort(l.Addr().String())
	_, tcp, _ := net.SplitHostPort(l.TCP().Addr().String())
	if udp != tcp {
		t.Errorf("UDP port %s, TCP port %s", udp, tcp)
	}
	if _, err := Listen(l.Addr().String(), f.node(pki.RoleCoordinator, "c2", 0), f.ca.Pool(), Options{}); err == nil {
		t.Error("two listeners on one port")
	}
}

func TestAdmitIsAskedWithTheCertificate(t *testing.T) {
	f := newFleet(t)
	agent := f.node(pki.RoleAgent, "a1", 0)
	asked := make(chan *x509.Certificate, 1)
	l := f.server(Options{Admit: func(p Peer, cert *x509.Certificate) error { asked <- cert; return nil }})
	_, server := connect(t, l, agent, TrustPool(f.ca.Pool()))
	if cert := <-asked; !cert.Equal(agent.Leaf()) || !server.Certificate().Equal(cert) {
		t.Error("Admit saw another certificate than the agent's")
	}
}

// Heartbeats come without anyone asking; a hung way shows as their absence.
func TestLastHeardMovesOn(t *testing.T) {
	f := newFleet(t)
	client, server := connect(t, f.server(Options{}), f.node(pki.RoleAgent, "a1", 0), TrustPool(f.ca.Pool()))
	for _, c := range []*Conn{client, server} {
		for first := c.LastHeard(); !c.LastHeard().After(first); time.Sleep(time.Millisecond) {
			if c.Err() != nil {
				t.Fatal(c.Err())
			}
		}
	}
}
