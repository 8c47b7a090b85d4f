package coordinator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// served is a port as the API has it, with smaller bounds.
func served(t *testing.T, l net.Listener, how port) string {
	t.Helper()
	how.log, how.grace = slog.New(slog.DiscardHandler), time.Second
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	go func() { done <- serveHTTP(ctx, l, ok, how) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dial gives a connection on which no wait is longer than patience.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// cut tells whether the other side ended a connection, rather than leave us waiting.
func cut(c net.Conn) bool {
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func get(t *testing.T, c net.Conn, header string) int {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", header); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

func TestHeaderIsBounded(t *testing.T) {
	addr := served(t, listen(t), port{})
	for size, want := range map[int]int{30 << 10: http.StatusOK, 40 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		if got := get(t, dial(t, addr), "X-Long: "+strings.Repeat("a", size)+"\r\n"); got != want {
			t.Errorf("a header of %d bytes: status %d, want %d", size, got, want)
		}
	}
}

// A peer that begins a header, or a TLS handshake, and does not go on is not waited for.
func TestSlowPeersAreCut(t *testing.T) {
	addr := served(t, listen(t), port{header: 100 * time.Millisecond})
	for _, begun := range []string{"", "GET / HTT", "GET / HTTP/1.1\r\nHost: x\r\nX-A: "} {
		c := dial(t, addr)
		if _, err := io.WriteString(c, begun); err != nil {
			t.Fatal(err)
		}
		if !cut(c) {
			t.Errorf("after %q the server waits on", begun)
		}
	}
	cfg := config(t)
	ca, _, err := openPKI(filepath.Join(t.TempDir(), "pki"), newID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg.API = "0.0.0.0:0"
	l, err := listenAPI(cfg, ca, time.Now, newCrowd(10))
	if err != nil {
		t.Fatal(err)
	}
	_, number, err := net.SplitHostPort(served(t, l, port{header: 100 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	for _, begun := range []string{"", "\x16\x03\x01"} {
		c := dial(t, "127.0.0.1:"+number)
		if _, err := io.WriteString(c, begun); err != nil {
			t.Fatal(err)
		}
		if !cut(c) {
			t.Errorf("after %q of a handshake the server waits on", begun)
		}
	}
}

// The bounds of the real port are those the tests are about.
func TestBoundsAreSet(t *testing.T) {
	if headerMax > 32<<10 || headerPatience > 15*time.Second || idlePatience > 5*time.Minute || connsMax > 1<<14 {
		t.Errorf("header of %d bytes within %v, idle %v, %d connections", headerMax, headerPatience, idlePatience, connsMax)
	}
}

// One connection too many is turned away; it takes the place of one that has nothing
// to ask.
func TestCrowd(t *testing.T) {
	crowd := newCrowd(2)
	addr := served(t, crowd.bound(listen(t)), port{crowd: crowd})
	a, b := dial(t, addr), dial(t, addr)
	for _, c := range []net.Conn{a, b} { // both have a place, and have not asked yet
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "two connections", func() bool { return crowd.count() == 2 })
	if !cut(dial(t, addr)) {
		t.Error("a third connection is kept waiting")
	}
	for _, c := range []net.Conn{a, b} {
		if _, err := io.WriteString(c, "Host: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "both idle", func() bool { return crowd.idling() == 2 })
	if got := get(t, dial(t, addr), ""); got != http.StatusOK {
		t.Errorf("a newcomer beside idle ones: status %d", got)
	}
	await(t, "one has given its place up", func() bool { return crowd.count() == 2 })
}

func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

func (c *crowd) idling() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
