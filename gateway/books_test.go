package gateway

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

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
