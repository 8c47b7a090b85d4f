package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/internal/pki"
)

// serveNames answers every request with the caller's name.
func serveNames(t *testing.T, l *Listener) string {
	t.Helper()
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := RequestPeer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		io.WriteString(w, p.String())
	})}
	go func() {
		if err := srv.Serve(l.TCP()); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { srv.Shutdown(context.Background()) })
	return "https://" + l.TCP().Addr().String()
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestHTTPBetweenNodes(t *testing.T) {
	f := newFleet(t)
	agent, coordinator := f.node(pki.RoleAgent, "a1", 0), f.node(pki.RoleCoordinator, "c1", 0)
	for _, c := range []struct{ client, server *pki.Identity }{
		{agent, coordinator}, {coordinator, agent}, {agent, f.node(pki.RoleAgent, "a2", 0)},
	} {
		url := serveNames(t, f.listen("127.0.0.1:0", c.server, Options{}))
		got, err := get(t, HTTPClient(c.client, f.ca.Pool()), url)
		if err != nil || got != c.client.Peer().String() {
			t.Errorf("%v to %v: %q, %v", c.client.Peer(), c.server.Peer(), got, err)
		}
	}
}

func TestTCPDemandsAValidNode(t *testing.T) {
	f, other := newFleet(t), newFleet(t)
	l := f.server(Options{Admit: func(p Peer, _ *x509.Certificate) error {
		if p.NodeID == "revoked" {
			return errors.New("revoked")
		}
		return nil
	}})
	url := serveNames(t, l)
	for name, id := range map[string]*pki.Identity{
		"anonymous": nil,
		"expired":   f.node(pki.RoleAgent, "a1", 25*time.Hour),
		"foreign":   other.node(pki.RoleAgent, "a1", 0),
		"revoked":   f.node(pki.RoleAgent, "revoked", 0),
	} {
		if body, err := get(t, HTTPClient(id, f.ca.Pool()), url); err == nil {
			t.Errorf("%s client was answered %q", name, body)
		}
	}
	if body, err := get(t, HTTPClient(f.node(pki.RoleAgent, "a1", 0), other.ca.Pool()), url); err == nil {
		t.Errorf("a server of another fleet was believed: %q", body)
	}
	if _, err := RequestPeer(&http.Request{TLS: &tls.ConnectionState{}}); !errors.Is(err, pki.ErrNoPeer) {
		t.Errorf("RequestPeer of an anonymous request: %v", err)
	}
}

// A server ends the TCP side with itself; ending the port afterwards is no error.
func TestCloseAfterServer(t *testing.T) {
	l := newFleet(t).server(Options{})
	srv := &http.Server{}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l.TCP()) }()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	_ = l.TCP().Close() // as the server does, had it been closed before it began to serve
	if err := l.Close(); err != nil {
		t.Errorf("closing the port: %v", err)
	}
}
