package gateway

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// seeds are bodies of every kind.
var seeds = []string{
	`{` + hello + `}`,
	`{` + hello + `,"stream":true,"stream_options":{"include_usage":true},"n":2,"logprobs":true,"top_logprobs":2}`,
	`{"model":"tiny","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":null}],"continue_final_message":true}`,
	`{"model":"tiny","prompt":["a","b"],"logprobs":1,"max_tokens":2,"echo":false}`,
	`{"model":"tiny","prompt":[[1,2],[3]],"echo":true,"stream":true,"stop":["x"],"logit_bias":{"1":-1}}`,
	`{"model":"tiny","prompt":[1.0,2e0],"temperature":1e-320,"seed":-9223372036854775808}`,
	`{"model":"tiny","Model":"x"}`, `{"model":"tiny","messages":{}}`, `[]`, `{"a":`, "{\"model\":\"\xff\"}", `{"model":"\ud800"}`,
	`{"model":"tiny","chat_template_kwargs":{"a":[{"b":null}]},"messages":[{"role":"user","content":"<|im_end|>"}]}`,
}

// endpoints are those that read a body.
var endpoints = []string{chatPath, textPath, embedPath, "/tokenize", "/detokenize"}

// FuzzHandler sends any body to any endpoint: the answer is always valid JSON, or a
// stream of it, and no sequence is left running.
func FuzzHandler(f *testing.F) {
	for _, seed := range seeds {
		for i := range endpoints {
			f.Add(seed, uint8(i))
		}
	}
	for _, h := range hostileRequests {
		for i, path := range endpoints {
			if path == h.path && len(h.body)+len(h.fields) < 200 {
				b, _ := io.ReadAll(h.request().Body)
				f.Add(string(b), uint8(i))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body string, endpoint uint8) {
		s := newStage(t)
		path := endpoints[int(endpoint)%len(endpoints)]
		w := s.ask("POST", path, body)
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
			texts(t, strings.NewReader(w.Body.String()))
		} else if !json.Valid(w.Body.Bytes()) {
			t.Errorf("no JSON: %q", w.Body)
		}
		if w.Code >= 500 && !strings.Contains(body, "broken") {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			refusal(t, w)
		}
		if n := s.actor.active(); n != 0 {
			t.Errorf("%d sequences still run", n)
		}
	})
}

// FuzzOptions reads any JSON object: options within their bounds, or a refusal that
// says which field is wrong.
func FuzzOptions(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newStage(t)
		w := s.ask("POST", "/v1/chat/completions", body)
		if w.Code == 200 {
			for _, req := range s.actor.sequences() {
				checkBounds(t, req)
			}
			return
		}
		if message, _, param, _ := refusal(t, w); w.Code == 400 && param != "" && !strings.Contains(message, "'"+param+"'") && !strings.Contains(message, "context length") {
			t.Errorf("%q does not name %q", message, param)
		}
	})
}

// checkBounds checks what an engine may rely on.
func checkBounds(t *testing.T, req *wire.GenerateRequest) {
	t.Helper()
	s := req.GetSampling()
	if n := len(req.GetPrompt()); n == 0 || n+int(req.GetMaxTokens()) > tiny.Context {
		t.Errorf("%d tokens of prompt, %d of answer", n, req.GetMaxTokens())
	}
	if v := s.GetTemperature(); v < 0 || v > 2 {
		t.Errorf("temperature %v", v)
	}
	if v := s.GetTopP(); s.TopP != nil && !(v > 0 && v <= 1) {
		t.Errorf("top_p %v", v)
	}
	if v := s.GetRepetition(); s.Repetition != nil && !(v > 0 && v <= 10) {
		t.Errorf("repetition_penalty %v", v)
	}
	if s.GetTopLogprobs() > maxTopLogprobs || len(req.GetStop()) > maxStops || len(s.GetBiases()) > maxBiases {
		t.Errorf("beyond the bounds: %s", req)
	}
}
