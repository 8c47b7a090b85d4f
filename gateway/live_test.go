package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
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
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
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
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
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

// TestFaults stages what goes wrong behind the gateway, before the first event and
// after it.
func TestFaults(t *testing.T) {
	busy := FromWire(&wire.Error{Code: wire.ErrorCode_ERROR_CODE_BUSY, Message: "queue full", RetryAfterMs: 1500})
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
		says   string
	}{
		{"busy", busy, 429, "server_is_overloaded", "queue full"},
		{"no text for clients", errors.New("secret path /var/lib"), 500, "internal_error", "server had an error"},
		{"cut", io.EOF, 500, "internal_error", "server had an error"},
	} {
		s := newStage(t)
		s.actor.event = func(i int, _ *wire.GenerateEvent) error {
			if i == 0 {
				return c.err
			}
			return nil
		}
		for _, stream := range []string{"false", "true"} {
			w := s.ask("POST", "/v1/chat/completions", `{`+hello+`,"stream":`+stream+`}`)
			message, _, _, code := refusal(t, w)
			if w.Code != c.status || code != c.code || !strings.Contains(message, c.says) {
				t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			}
			if c.err == busy && (w.Header().Get("Retry-After") != "2" || w.Header().Get("Retry-After-Ms") != "1500") {
				t.Errorf("%s: headers %v", c.name, w.Header())
			}
			if rec := s.audit.last(); rec.Status != c.status || rec.Error == "" {
				t.Errorf("%s: record %+v", c.name, rec)
			}
		}
		s.actor.event = func(i int, _ *wire.GenerateEvent) error {
			if i == 3 {
				return c.err
			}
			return nil
		}
		w := s.lockstep("POST", "/v1/chat/completions", `{`+hello+`,"stream":true}`)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, "event: error\ndata: {\"error\":{\"message\":") || !strings.Contains(body, c.says) || !strings.HasSuffix(body, "\n\ndata: [DONE]\n\n") || strings.Contains(body, "secret") {
			t.Errorf("%s in a stream: %d %s", c.name, w.Code, body)
		}
		if s.actor.active() != 0 {
			t.Errorf("%s: %d sequences still run", c.name, s.actor.active())
		}
	}
}

// TestRouterRefuses has no stream to begin with.
func TestRouterRefuses(t *testing.T) {
	s := newStage(t)
	s.actor.refuse = &Error{Status: 503, Code: "service_unavailable", Message: "No instance is ready."}
	w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`)
	if message, kind, _, _ := refusal(t, w); w.Code != 503 || kind != "server_error" || message != "No instance is ready." {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestPanics stages faults of our own: the request fails, the gateway goes on.
func TestPanics(t *testing.T) {
	s := newStage(t)
	fine := s.Catalog
	s.Catalog = nil
	if w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`); w.Code != 500 || !strings.Contains(s.audit.last().Error, "panic") {
		t.Errorf("in the handler: %d %s", w.Code, w.Body)
	}
	s.Catalog = fine
	s.actor.event = func(i int, _ *wire.GenerateEvent) error {
		if i == 2 {
			panic("staged")
		}
		return nil
	}
	if w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`); w.Code != 500 || strings.Contains(w.Body.String(), "staged") {
		t.Errorf("in a sequence: %d %s", w.Code, w.Body)
	}
	s.actor.event = nil
	if w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`); w.Code != 200 || s.actor.active() != 0 {
		t.Errorf("afterwards: %d %s, %d sequences run", w.Code, w.Body, s.actor.active())
	}
}

// TestCutBody sends less than it promised.
func TestCutBody(t *testing.T) {
	s := newStage(t)
	r := httptest.NewRequest("POST", "/v1/completions", io.MultiReader(strings.NewReader(`{"model":`), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Authorization", testKey)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if _, _, _, code := refusal(t, w); w.Code != 400 || code != "invalid_body" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestWireErrors shows every error code that an engine may send.
func TestWireErrors(t *testing.T) {
	for code, want := range map[wire.ErrorCode]int{
		wire.ErrorCode_ERROR_CODE_UNSPECIFIED: 500, wire.ErrorCode_ERROR_CODE_INVALID: 400, wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH: 400,
		wire.ErrorCode_ERROR_CODE_NOT_FOUND: 404, wire.ErrorCode_ERROR_CODE_BUSY: 429, wire.ErrorCode_ERROR_CODE_UNAVAILABLE: 503,
		wire.ErrorCode_ERROR_CODE_INTERNAL: 500, wire.ErrorCode_ERROR_CODE_DENIED: 403, wire.ErrorCode_ERROR_CODE_DEADLINE: 408,
		wire.ErrorCode_ERROR_CODE_NUMERIC: 500,
	} {
		s := newStage(t)
		s.Router = fault{&wire.Error{Code: code}}
		w := s.ask("POST", "/v1/chat/completions", `{`+hello+`,"stream":true}`)
		if message, _, _, _ := refusal(t, w); w.Code != want || message == "" {
			t.Errorf("%s: %d %s, want %d", code, w.Code, w.Body, want)
		}
	}
}

// fault is a Router whose streams hold one error.
type fault struct{ err *wire.Error }

func (f fault) Generate(context.Context, string, *wire.GenerateRequest) (Stream, error) {
	return f, nil
}
func (f fault) Recv() (*wire.GenerateEvent, error) {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Error{Error: f.err}}, nil
}
func (f fault) Close() error { return nil }

// TestBooks reserves the most a request may use, settles what it did, and records it.
func TestBooks(t *testing.T) {
	s := newStage(t)
	s.ask("POST", "/v1/chat/completions", `{`+hello+`,"n":2,"max_tokens":3}`)
	prompt := len(s.actor.sequences()[0].GetPrompt())
	if got := s.limiter.reserved; len(got) != 1 || got[0] != prompt+6 {
		t.Errorf("reserved %v, want [%d]", got, prompt+6)
	}
	if got := s.limiter.used; len(got) != 1 || got[0] != prompt+6 {
		t.Errorf("settled %v, want [%d]", got, prompt+6)
	}
	r := s.audit.last()
	if r.Status != 200 || r.Model != "tiny" || r.Prompt != prompt || r.Generated != 6 || r.FirstToken <= 0 || r.Duration < r.FirstToken || r.Identity.Project != "default" {
		t.Errorf("record %+v", r)
	}
	s.limiter.refuse = &Error{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota", Message: "The budget is spent."}
	w := s.ask("POST", "/v1/chat/completions", `{`+hello+`}`)
	if _, kind, _, _ := refusal(t, w); w.Code != 429 || kind != "insufficient_quota" || w.Header().Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestContextEdges fills the context to its last token, and one beyond.
func TestContextEdges(t *testing.T) {
	for _, c := range []struct{ prompt, length, status, want int }{
		{tiny.Context - 100, 0, 200, 16},
		{tiny.Context - 2, 0, 200, 2},
		{tiny.Context - 2, 2, 200, 2},
		{tiny.Context - 2, 3, 400, 0},
		{tiny.Context - 1, 1, 200, 1},
		{tiny.Context, 0, 400, 0},
	} {
		s := newStage(t)
		fields := map[string]any{"model": "tiny", "prompt": slices.Repeat([]int{40}, c.prompt)}
		if c.length > 0 {
			fields["max_tokens"] = c.length
		}
		b, _ := json.Marshal(fields)
		w := s.ask("POST", "/v1/completions", string(b))
		if w.Code != c.status {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
		if list := s.actor.sequences(); c.status == 200 && (len(list) != 1 || int(list[0].GetMaxTokens()) != c.want) {
			t.Errorf("%+v: the engine gets %v", c, list)
		}
	}
}

// TestOptionsReachTheEngine sends every option that an engine knows.
func TestOptionsReachTheEngine(t *testing.T) {
	s := newStage(t)
	s.ask("POST", "/v1/chat/completions", `{`+hello+`,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"seed":-7,"stop":["a","b"],"max_tokens":9,
		"max_completion_tokens":8,"min_tokens":2,"presence_penalty":1,"frequency_penalty":-1,"repetition_penalty":1.5,"logit_bias":{"5":-100},
		"stop_token_ids":[3],"ignore_eos":true,"include_stop_str_in_output":true,"skip_special_tokens":false,"priority":-2,"cache_salt":"s","logprobs":true,"top_logprobs":4}`)
	list := s.actor.sequences()
	if len(list) != 1 {
		t.Fatalf("%d sequences", len(list))
	}
	req := list[0]
	seed := int64(-7)
	req.RequestId, req.Prompt = "", nil
	temperature, topP, repetition, seedBits := float32(0.5), float32(0.9), float32(1.5), uint64(seed)
	want := &wire.GenerateRequest{
		Project: "default", MaxTokens: 8, MinTokens: 2, Seed: &seedBits, Stop: []string{"a", "b"}, StopTokens: []int32{3},
		IgnoreEos: true, IncludeStop: true, KeepSpecial: true, Priority: -2, CacheSalt: []byte("default\x00s"),
		Sampling: &wire.Sampling{Temperature: &temperature, TopP: &topP, TopK: 40, MinP: 0.1, Presence: 1, Frequency: -1, Repetition: &repetition, Logprobs: true, TopLogprobs: 4, Biases: []*wire.Bias{{Token: 5, Bias: -100}}},
	}
	if req.String() != want.String() {
		t.Errorf("the engine gets\n%s\nwant\n%s", req, want)
	}
}
