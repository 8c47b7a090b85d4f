package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := CreateCA(t.TempDir(), t0)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// enrol makes an identity that ca signed at t0.
func enrol(t *testing.T, ca *CA, p Peer) *Identity {
	t.Helper()
	id, err := OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	csr, err := id.CSR("host")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ca.Sign(csr, p, NodeTTL, t0)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Install(chain); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCAIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	ca, err := OpenCA(dir, t0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenCA(dir, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if ca.Hash() != again.Hash() || !ca.Certificate().Equal(again.Certificate()) {
		t.Error("a second start made another authority")
	}
	if certs, err := ParseCerts(EncodeCert(ca.Certificate())); err != nil || !certs[0].Equal(ca.Certificate()) {
		t.Errorf("its PEM form does not come back: %v", err)
	}
	if _, err := CreateCA(dir, t0); !errors.Is(err, ErrExists) {
		t.Errorf("CreateCA over an authority: %v, want ErrExists", err)
	}
	for _, name := range []string{"ca.key", "ca.crt"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", name, st.Mode().Perm(), err)
		}
	}
}

func TestLoadCARefusesDamage(t *testing.T) {
	if _, err := LoadCA(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directory: %v, want fs.ErrNotExist", err)
	}
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if _, err := CreateCA(dir, t0); err != nil {
			t.Fatal(err)
		}
	}
	key, err := os.ReadFile(filepath.Join(b, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"foreign key": key, "empty": nil, "text": []byte("hello")} {
		if err := os.WriteFile(filepath.Join(a, "ca.key"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCA(a); err == nil {
			t.Errorf("%s as ca.key: loaded", name)
		}
	}
}

func TestSignedCertificateNamesPeer(t *testing.T) {
	ca := newCA(t)
	want := Peer{RoleAgent, "node-1"}
	id := enrol(t, ca, want)
	leaf := id.Leaf()
	got, err := Verify([]*x509.Certificate{leaf}, ca.Pool(), x509.ExtKeyUsageClientAuth, t0)
	if err != nil || got != want || id.Peer() != want {
		t.Errorf("Verify = %v, %v, identity says %v; want %v", got, err, id.Peer(), want)
	}
	if life := leaf.NotAfter.Sub(t0); life != NodeTTL {
		t.Errorf("valid for %v, want %v", life, NodeTTL)
	}
	half := t0.Add(-backdate).Add((NodeTTL + backdate) / 2)
	if !id.RenewAt().Equal(half) {
		t.Errorf("RenewAt = %v, want %v", id.RenewAt(), half)
	}
	if KeyHash(id.Authority()) != ca.Hash() {
		t.Error("the chain's end is not the authority")
	}
}

func TestSignRefuses(t *testing.T) {
	ca := newCA(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := NewCSR(p256, "x")
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	rsaCSR, _ := NewCSR(rsaKey, "x")
	edCSR, _ := NewCSR(edKey, "x")
	p384CSR, _ := NewCSR(p384, "x")
	for name, csr := range map[string][]byte{
		"empty": nil, "garbage": []byte("garbage"), "forged": forged, "huge": make([]byte, csrMax+1),
		"rsa": rsaCSR, "ed25519": edCSR, "p384": p384CSR,
	} {
		if _, err := ca.Sign(csr, Peer{RoleAgent, "n"}, NodeTTL, t0); !errors.Is(err, ErrBadCSR) {
			t.Errorf("%s request: %v, want ErrBadCSR", name, err)
		}
	}
	for _, p := range []Peer{{}, {RoleAgent, ""}, {"root", "n"}, {RoleAgent, "../x"}, {RoleAgent, "a/b"}, {RoleAgent, "-a"}} {
		if _, err := ca.Sign(good, p, NodeTTL, t0); err == nil {
			t.Errorf("signed for %+v", p)
		}
	}
}

func TestNoCertificateOutlivesItsAuthority(t *testing.T) {
	ca := newCA(t)
	id, err := OpenIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	csr, _ := id.CSR("x")
	chain, err := ca.Sign(csr, Peer{RoleAgent, "n"}, 2*CATTL, t0)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(chain[0])
	if leaf.NotAfter.After(ca.Certificate().NotAfter) {
		t.Errorf("leaf ends %v, authority %v", leaf.NotAfter, ca.Certificate().NotAfter)
	}
}

func TestVerifyOverTime(t *testing.T) {
	ca := newCA(t)
	want := Peer{RoleAgent, "n"}
	chain := []*x509.Certificate{enrol(t, ca, want).Leaf()}
	end := chain[0].NotAfter
	for _, c := range []struct {
		name string
		at   time.Time
		peer Peer
		err  error
	}{
		{"before it begins", t0.Add(-backdate - time.Second), Peer{}, ErrUntrusted},
		{"clock a little behind", t0.Add(-time.Minute), want, nil},
		{"at its end", end, want, nil},
		{"expired a second", end.Add(time.Second), want, ErrExpired},
		{"expired 30 days", end.Add(GraceTTL), want, ErrExpired},
		{"expired longer", end.Add(GraceTTL + time.Second), Peer{}, ErrUntrusted},
	} {
		got, err := Verify(chain, ca.Pool(), x509.ExtKeyUsageClientAuth, c.at)
		if got != c.peer || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, got, err, c.peer, c.err)
		}
	}
}

func TestVerifyRefusesForeignAndServerCertificates(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	foreign := enrol(t, other, Peer{RoleCoordinator, "n"}).Leaf()
	if p, err := Verify([]*x509.Certificate{foreign}, ca.Pool(), x509.ExtKeyUsageClientAuth, t0); !errors.Is(err, ErrUntrusted) || p != (Peer{}) {
		t.Errorf("foreign certificate: %v, %v; want ErrUntrusted", p, err)
	}
	api, err := ca.ServerCert([]string{"fleet.example", "192.0.2.1"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify([]*x509.Certificate{api.Leaf}, ca.Pool(), x509.ExtKeyUsageClientAuth, t0); !errors.Is(err, ErrUntrusted) {
		t.Errorf("API certificate as a client's: %v, want ErrUntrusted", err)
	}
	if _, err := Verify([]*x509.Certificate{api.Leaf}, ca.Pool(), x509.ExtKeyUsageServerAuth, t0); !errors.Is(err, ErrNoPeer) {
		t.Errorf("API certificate as a node's: %v, want ErrNoPeer", err)
	}
	if _, err := Verify(nil, ca.Pool(), x509.ExtKeyUsageClientAuth, t0); !errors.Is(err, ErrUntrusted) {
		t.Errorf("no certificate: %v, want ErrUntrusted", err)
	}
}

func TestPoolByHash(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	leaf := enrol(t, ca, Peer{RoleCoordinator, "n"}).Leaf()
	chain := []*x509.Certificate{leaf, ca.Certificate()}
	if pool, err := PoolByHash(chain, ca.Hash()); err != nil || !pool.Equal(ca.Pool()) {
		t.Errorf("pinned authority: %v", err)
	}
	if _, err := PoolByHash(chain, other.Hash()); !errors.Is(err, ErrPin) {
		t.Errorf("other authority: %v, want ErrPin", err)
	}
	if _, err := PoolByHash(chain, KeyHash(leaf)); !errors.Is(err, ErrPin) {
		t.Errorf("a leaf's key as the pin: %v, want ErrPin", err)
	}
}

func TestPeerOfRefusesOtherURIs(t *testing.T) {
	for _, s := range []string{
		"", "nanofleet://agent", "nanofleet://agent/", "nanofleet:///n", "https://agent/n", "nanofleet://root/n",
		"nanofleet://agent/n/m", "nanofleet://agent/n?q", "nanofleet://agent/n#f", "nanofleet://u@agent/n", "nanofleet://agent/%6e",
	} {
		cert := &x509.Certificate{}
		if s != "" {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = []*url.URL{u}
		}
		if p, err := PeerOf(cert); !errors.Is(err, ErrNoPeer) {
			t.Errorf("%q: %v, %v; want ErrNoPeer", s, p, err)
		}
	}
	two := &x509.Certificate{URIs: []*url.URL{Peer{RoleAgent, "a"}.uri(), Peer{RoleCoordinator, "b"}.uri()}}
	if _, err := PeerOf(two); !errors.Is(err, ErrNoPeer) {
		t.Errorf("two URIs: %v, want ErrNoPeer", err)
	}
}

func TestIdentityStaysAndRenews(t *testing.T) {
	ca := newCA(t)
	dir := t.TempDir()
	id, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if id.Enrolled() || !id.Peer().Anonymous() || !id.RenewAt().IsZero() || id.Leaf() != nil || id.Authority() != nil {
		t.Error("a new identity claims to be enrolled")
	}
	if _, err := id.GetCertificate(nil); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("GetCertificate: %v, want ErrNotEnrolled", err)
	}
	if c, err := id.GetClientCertificate(nil); err != nil || len(c.Certificate) != 0 {
		t.Errorf("GetClientCertificate: %v, %v; want an empty one", c, err)
	}
	var hashes [2][32]byte
	for i := range hashes {
		csr, _ := id.CSR("host")
		chain, err := ca.Sign(csr, Peer{RoleAgent, "n"}, NodeTTL, t0.Add(time.Duration(i)*NodeTTL/2))
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Install(chain); err != nil {
			t.Fatal(err)
		}
		hashes[i] = KeyHash(id.Leaf())
	}
	if hashes[0] != hashes[1] {
		t.Error("renewal changed the key")
	}
	again, err := OpenIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Leaf().Equal(id.Leaf()) || !again.Pool().Equal(ca.Pool()) {
		t.Error("a restart lost the renewed certificate")
	}
	a, _ := id.Derive("reset")
	b, _ := again.Derive("reset")
	c, _ := again.Derive("other")
	if a != b || a == c {
		t.Error("Derive must depend on key and label alone")
	}
	for _, name := range []string{"node.key", "node.crt"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", name, st.Mode().Perm(), err)
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	ca := newCA(t)
	id := enrol(t, ca, Peer{RoleAgent, "n"})
	before := id.Leaf()
	other := enrol(t, ca, Peer{RoleAgent, "m"}).Leaf()
	if err := id.Install([][]byte{other.Raw, ca.Certificate().Raw}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another node's certificate: %v, want ErrWrongKey", err)
	}
	for name, chain := range map[string][][]byte{"empty": nil, "garbage": {{1, 2}}, "leaf alone": {before.Raw}} {
		if err := id.Install(chain); err == nil {
			t.Errorf("%s chain: installed", name)
		}
	}
	if !id.Leaf().Equal(before) {
		t.Error("a refused chain replaced the certificate")
	}
}

func TestServerTLSRenewsItself(t *testing.T) {
	ca := newCA(t)
	now := t0
	cfg := ca.ServerTLS([]string{"fleet.example", "192.0.2.1", "::1"}, func() time.Time { return now })
	first, err := cfg.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"fleet.example", "192.0.2.1", "::1"} {
		opts := x509.VerifyOptions{Roots: ca.Pool(), DNSName: host, CurrentTime: now}
		if _, err := first.Leaf.Verify(opts); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	now = t0.Add(serverTTL/2 - time.Minute)
	if same, _ := cfg.GetCertificate(nil); same != first {
		t.Error("made anew before half its life")
	}
	now = t0.Add(serverTTL/2 + time.Minute)
	if next, err := cfg.GetCertificate(nil); err != nil || next == first || next.Leaf.NotAfter.Before(now.Add(serverTTL-time.Hour)) {
		t.Errorf("not made anew after half its life: %v", err)
	}
	if _, err := ca.ServerCert(nil, t0); err == nil {
		t.Error("a certificate for no host")
	}
}
