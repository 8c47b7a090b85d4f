package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestTLSBeyondLoopback listens on every address: the API then speaks TLS with a
// certificate of the fleet's own authority, and refuses plain HTTP.
func TestTLSBeyondLoopback(t *testing.T) {
	f := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(f.down)
	f.must("up", "--api", "0.0.0.0:0", "--model", tiny.GGUF(), "--name", "tiny", "--detach")
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
