package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// ponderous takes longer over a version than a body may take.
type ponderous struct {
	Registry
	longer time.Duration
}

func (p ponderous) Commit(ctx context.Context, _, model string, _ []state.File) (state.Version, error) {
	select {
	case <-time.After(p.longer):
		return state.Version{}, &Refusal{http.StatusTeapot, "thought about"}
	case <-ctx.Done():
		return state.Version{}, &Refusal{http.StatusGone, "the client is gone"}
	}
}

// A body must come in time; what is done with it may take longer.
func TestBodyMustComeInTime(t *testing.T) {
	mux := http.NewServeMux()
	within := pace{patience: 200 * time.Millisecond, slowest: 1 << 20}
	Mount(mux, Deps{Registry: ponderous{longer: 3 * within.patience}, Auth: callers{}, slowest: within})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	file := api.File{Path: "m.gguf", Size: 1, Digest: "sha256:" + fmt.Sprintf("%064d", 0), ChunkSize: 65536, Chunks: []string{fmt.Sprintf("%064d", 0)}}
	_, err := api.NewClient(s.URL, "admin", nil).CommitVersion(t.Context(), "m", api.Upload{Files: []api.File{file}})
	refused(t, err, http.StatusTeapot, "thought about")

	for _, length := range []string{"Content-Length: 4000000", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\nContent-Type: application/json\r\n%s\r\n\r\n", length); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", length, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout && resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d after %v", length, resp.StatusCode, time.Since(began))
		}
	}
}

func TestPace(t *testing.T) {
	p := pace{patience: time.Second, slowest: 1000}
	for announced, want := range map[int64]time.Duration{-1: time.Second, 0: time.Second, 999: time.Second, 5000: 6 * time.Second} {
		if got := p.within(announced); got != want {
			t.Errorf("%d bytes within %v, want %v", announced, got, want)
		}
	}
	if got := defaultPace.within(chunkMax); got < 10*time.Minute || got > time.Hour {
		t.Errorf("the largest chunk within %v", got)
	}
}

// What loads is shown with bytes, rate and the time that is left.
func TestProgressIsShown(t *testing.T) {
	for _, c := range []struct {
		live InstanceView
		want api.Instance
	}{
		{InstanceView{Phase: "map", Done: 25, Total: 100, Rate: 5}, api.Instance{Phase: "map", Done: 25, Total: 100, Progress: 0.25, Rate: 5, Left: 15}},
		{InstanceView{Phase: "fetch", Done: 25, Total: 100}, api.Instance{Phase: "fetch", Done: 25, Total: 100, Progress: 0.25}},
		{InstanceView{Phase: "map", Done: 101, Total: 100, Rate: 1}, api.Instance{Phase: "map", Done: 100, Total: 100, Progress: 1, Rate: 1}},
		{InstanceView{Phase: "warm", Done: 0, Total: 1, Rate: 1}, api.Instance{Phase: "warm"}},
		{InstanceView{}, api.Instance{}},
	} {
		var got api.Instance
		if showProgress(&got, c.live); got != c.want {
			t.Errorf("%+v is shown as %+v", c.live, got)
		}
	}
}
