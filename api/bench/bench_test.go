package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/api"
)

func load() Load {
	return Load{Model: "m", Requests: 20, Concurrency: 4, PromptTokens: 40, OutputTokens: 5, SharedPrefix: 0.5, Seed: 7}
}

// server streams five tokens per request over real HTTP and refuses every tenth.
func server(t *testing.T, inFlight, most *atomic.Int32) *httptest.Server {
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := inFlight.Add(1)
		defer inFlight.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		if n.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"error":{"message":"slow down","type":"rate_limit","param":null,"code":"busy"}}`)
			return
		}
		for i := range 5 {
			fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"t%d\"}}]}\n\n", i)
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":20}}}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRunCountsWhatHappened(t *testing.T) {
	var inFlight, most atomic.Int32
	s := server(t, &inFlight, &most)
	r, err := Run(context.Background(), api.NewClient(s.URL, "k", nil), load(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 2 || r.FirstError != "slow down" {
		t.Errorf("failed %d (%q), want 2 (slow down)", r.Failed, r.FirstError)
	}
	if r.GeneratedTokens != 18*5 || r.PromptTokens != 18*40 || r.CachedTokens != 18*20 {
		t.Errorf("tokens %d/%d/%d, want 90/720/360", r.GeneratedTokens, r.PromptTokens, r.CachedTokens)
	}
	if most.Load() > 4 {
		t.Errorf("%d requests in flight, want at most 4", most.Load())
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || !strings.Contains(b.String(), "time to first token") {
		t.Errorf("table: %v\n%s", err, b.String())
	}
}

func TestPromptsShareTheirPrefix(t *testing.T) {
	l := load()
	p := l.prompts()
	a, b := strings.Fields(p[0]), strings.Fields(p[1])
	if len(a) != 40 || len(b) != 40 {
		t.Fatalf("prompts of %d and %d words, want 40", len(a), len(b))
	}
	if strings.Join(a[:20], " ") != strings.Join(b[:20], " ") {
		t.Error("the first half differs, want it shared")
	}
	if strings.Join(a[20:], " ") == strings.Join(b[20:], " ") {
		t.Error("the second half is equal, want it different")
	}
	if q := l.prompts(); strings.Join(q, "|") != strings.Join(p, "|") {
		t.Error("the same seed gives other prompts")
	}
}

func TestArrivalsKeepTheRate(t *testing.T) {
	l := load()
	l.Requests, l.Rate = 10_000, 100
	at := l.arrivals()
	rate := float64(len(at)-1) / at[len(at)-1].Seconds()
	if rate < 95 || rate > 105 {
		t.Errorf("%.1f requests per second, want about 100", rate)
	}
	for i := 1; i < len(at); i++ {
		if at[i] < at[i-1] {
			t.Fatalf("arrival %d before arrival %d", i, i-1)
		}
	}
}

func TestQuantilesByNearestRank(t *testing.T) {
	v := make([]float64, 100)
	for i := range v {
		v[i] = float64(100 - i)
	}
	if q := quantiles(v); q != (Quantiles{50, 90, 99}) {
		t.Errorf("got %+v", q)
	}
	if q := quantiles([]float64{3}); q != (Quantiles{3, 3, 3}) {
		t.Errorf("one value: %+v", q)
	}
}

func TestValidateNamesFieldAndBound(t *testing.T) {
	for field, change := range map[string]func(*Load){
		"requests":      func(l *Load) { l.Requests = 0 },
		"concurrency":   func(l *Load) { l.Concurrency = -1 },
		"rate":          func(l *Load) { l.Rate = -1 },
		"prompt-tokens": func(l *Load) { l.PromptTokens = 0 },
		"output-tokens": func(l *Load) { l.OutputTokens = 0 },
		"shared-prefix": func(l *Load) { l.SharedPrefix = 2 },
		"temperature":   func(l *Load) { l.Temperature = -1 },
		"model":         func(l *Load) { l.Model = "" },
	} {
		l := load()
		change(&l)
		if err := l.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice a hang-up
		cancel()
		<-r.Context().Done()
	}))
	defer s.Close()
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, api.NewClient(s.URL, "k", nil), load(), nil)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error from a cancelled run")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Run goes on after its context ended")
	}
}
