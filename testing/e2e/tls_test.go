package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestTLSBeyondLoopback listens on every address: the API then speaks TLS with a
// certificate of the fleet's own authority, and refuses plain HTTP.
func TestTLSBeyondLoopback(t *testing.T) {
	f := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(f.down)
	f.curlWorks(f.must("up", "--api", "0.0.0.0:0", "--model", tiny.GGUF(), "--name", "tiny", "--detach"))
	base := strings.TrimSpace(f.read("endpoint"))
	if !strings.HasPrefix(base, "https://") {
		t.Fatalf("endpoint %s, want https", base)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, filepath.Join(f.data, "ca.crt"))}}}
	resp, err := client.Get(base + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || string(body) != "ok\n" {
		t.Errorf("healthz: %d %q", resp.StatusCode, body)
	}
	if _, err := http.Get(base + "/healthz"); err == nil {
		t.Error("a client that trusts no fleet authority got an answer")
	}
	if out := f.must("status"); !strings.Contains(out, "1/1") {
		t.Errorf("status over TLS:\n%s", out)
	}
}

// TestOwnCertificate gives the API a certificate of a name that is not this host's, as
// operators do: apps that trust it are served, and so are our own verbs on this host.
func TestOwnCertificate(t *testing.T) {
	f := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(f.down)
	cert, key := certificate(t, "api.example.org")
	out := f.must("up", "--api", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
		"--model", tiny.GGUF(), "--name", "tiny", "--detach", "--ask", questions()[0].Question)
	if !strings.Contains(out, questions()[0].Answer) {
		t.Errorf("up says %s", out)
	}
	f.curlWorks(out)
	app := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, cert), ServerName: "api.example.org"}}}
	resp, err := app.Get(strings.TrimSpace(f.read("endpoint")) + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if out := f.must("status"); !strings.Contains(out, "1/1") {
		t.Errorf("status:\n%s", out)
	}
	// Another certificate is not believed, be it the API's or not.
	other, _ := certificate(t, "api.example.org")
	if err := os.Rename(other, filepath.Join(f.data, "api.crt")); err != nil {
		t.Fatal(err)
	}
	if out, code := f.cli("status"); code == 0 || !strings.Contains(out, "certificate") {
		t.Errorf("with another certificate: exit %d, %s", code, out)
	}
}

// curlWorks runs the command that up suggests.
func (f *fleet) curlWorks(said string) {
	f.t.Helper()
	for line := range strings.Lines(said) {
		if command, ok := strings.CutPrefix(line, "try"); ok {
			out, err := exec.Command("bash", "-c", strings.Replace(strings.TrimSpace(command), "curl ", "curl -sS --fail ", 1)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "How can I help you?") {
				f.t.Errorf("%s: %v: %s", command, err, out)
			}
			return
		}
	}
	f.t.Errorf("up suggests nothing to try:\n%s", said)
}

// certificate writes a self-signed certificate for a name, and its key.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(file, kind string, b []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

func pool(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", path)
	}
	return p
}
