package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// serve puts the stage behind a real HTTP server.
func (s *stage) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func post(t *testing.T, ctx context.Context, url, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", testKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// until waits for something that other goroutines bring about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// texts joins the streamed text of each choice, and says how many events had any.
func texts(t *testing.T, body io.Reader) (list map[int]string, events int) {
	t.Helper()
	list = map[int]string{}
	done := false
	for sc := bufio.NewScanner(body); sc.Scan(); {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var c struct {
			Choices []struct {
				Index int
				Text  string
				Delta struct{ Content string }
			}
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		for _, choice := range c.Choices {
			list[choice.Index] += choice.Text + choice.Delta.Content
			events++
		}
	}
	if !done {
		t.Error("the stream has no [DONE]")
	}
	return list, events
}

// TestEverythingTaught asks all that the tiny model was taught, whole and streamed:
// conversations and prompts must reach the engine as the model was trained on them,
// and both forms must give the same text.
func TestEverythingTaught(t *testing.T) {
	s := newStage(t)
	url := s.serve(t)
	ask := func(path string, fields map[string]any, want string) {
		fields["model"], fields["max_tokens"] = "tiny", 400
		b, _ := json.Marshal(fields)
		w := s.ask("POST", path, string(b))
		var whole struct {
			Choices []struct {
				Text    string
				Message struct{ Content string }
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &whole); err != nil || len(whole.Choices) != 1 || whole.Choices[0].Text+whole.Choices[0].Message.Content != want {
			t.Fatalf("%s: %s, want %q", b, w.Body, want)
		}
		fields["stream"] = true
		b, _ = json.Marshal(fields)
		if got, _ := texts(t, post(t, t.Context(), url+path, string(b)).Body); got[0] != want {
			t.Fatalf("%s streamed: %q, want %q", b, got[0], want)
		}
	}
	for _, c := range tiny.Ask().Chats {
		ask("/v1/chat/completions", map[string]any{"messages": c.Messages}, c.Answer)
	}
	for _, c := range tiny.Ask().Completions {
		ask("/v1/completions", map[string]any{"prompt": c.Prompt}, c.Answer)
	}
}

// TestChoicesInterleave streams several choices at once.
func TestChoicesInterleave(t *testing.T) {
	s := newStage(t)
	resp := post(t, t.Context(), s.serve(t)+"/v1/chat/completions", `{`+hello+`,"n":5,"stream":true}`)
	got, _ := texts(t, resp.Body)
	for i := range 5 {
		if got[i] != "Hello! How can I help you?" {
			t.Errorf("choice %d: %q", i, got[i])
		}
	}
	seen := map[uint32]bool{}
	for _, req := range s.actor.sequences() {
		seen[req.GetChoice()] = true
	}
	if len(seen) != 5 {
		t.Errorf("choices %v, want five apart: their randomness depends on it", seen)
	}
}

// TestClientGone hangs up in the middle of an answer, and before the first token:
// every sequence ends, and its tokens are settled.
func TestClientGone(t *testing.T) {
	for name, at := range map[string]int{"before the first token": 0, "in the middle": 5} {
		for _, stream := range []string{"true", "false"} {
			s := newStage(t)
			hold := &blocked{actor: s.actor, at: at}
			s.Router = hold
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan struct{})
			url := s.serve(t) + "/v1/chat/completions"
			go func() {
				defer close(gone)
				r, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{`+hello+`,"n":2,"stream":`+stream+`}`))
				r.Header.Set("Authorization", testKey)
				if resp, err := http.DefaultClient.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			until(t, "both sequences stand still", func() bool { return hold.waiting() == 2 })
			cancel()
			<-gone
			until(t, name+": the sequences end", func() bool { return s.actor.active() == 0 })
			until(t, name+": the record", func() bool { return s.audit.last().Status == statusClientGone })
			prompt := len(s.actor.sequences()[0].GetPrompt())
			want := prompt + 2*(at-1)
			if at == 0 {
				want = 0
			}
			if got := s.limiter.used; len(got) != 1 || got[0] != want {
				t.Errorf("%s (stream %s): settled %v, want [%d]", name, stream, got, want)
			}
		}
	}
}

// blocked is a Router whose streams stand still at an event until they are cancelled.
type blocked struct {
	*actor
	at    int
	mu    sync.Mutex
	still int
}

func (b *blocked) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.still
}

func (b *blocked) Generate(ctx context.Context, model string, req *wire.GenerateRequest) (Stream, error) {
	s, err := b.actor.Generate(ctx, model, req)
	if err != nil {
		return nil, err
	}
	scene := s.(*scene)
	scene.event = func(i int, _ *wire.GenerateEvent) error {
		if i < b.at {
			return nil
		}
		b.mu.Lock()
		b.still++
		b.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	return scene, nil
}

// TestComments keeps a stream alive while nothing comes.
func TestComments(t *testing.T) {
	s := newStage(t)
	s.keepAlive = time.Millisecond
	release := make(chan struct{})
	s.actor.event = func(i int, _ *wire.GenerateEvent) error {
		if i == 0 {
			<-release
		}
		return nil
	}
	resp := post(t, t.Context(), s.serve(t)+"/v1/chat/completions", `{`+hello+`,"stream":true}`)
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); err != nil || line != ": waiting\n" {
		t.Errorf("first line %q, %v", line, err)
	}
	close(release)
	if got, _ := texts(t, r); got[0] != "Hello! How can I help you?" {
		t.Errorf("got %q", got[0])
	}
}

// slow is a client that reads nothing for a while.
type slow struct {
	*httptest.ResponseRecorder
	writes  int
	release chan struct{}
}

func (s *slow) Write(b []byte) (int, error) {
	s.writes++
	if s.writes == 2 {
		<-s.release
	}
	return s.ResponseRecorder.Write(b)
}

// TestSlowClient reads late: the engine is not held up, and what waits is joined.
func TestSlowClient(t *testing.T) {
	s := newStage(t)
	w := &slow{httptest.NewRecorder(), 0, make(chan struct{})}
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"tiny","messages":[{"role":"user","content":"`+tiny.CountPrompt+`"}],"stream":true}`))
	r.Header.Set("Authorization", testKey)
	go func() {
		defer close(w.release)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if len(s.actor.sequences()) > 0 && s.actor.active() == 0 {
				return
			}
		}
	}()
	s.ServeHTTP(w, r)
	want, _ := tiny.Answer(tiny.CountPrompt)
	got, events := texts(t, w.Body)
	if got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
	if w.writes > 10 || events > 20 {
		t.Errorf("%d writes of %d events for an answer of 345 tokens", w.writes, events)
	}
}
