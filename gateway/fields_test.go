package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/wire"
)

// TestBestOf asks for the two best of four: those whose tokens are likeliest on
// average, best first, with the usage of all.
func TestBestOf(t *testing.T) {
	s := newStage(t)
	s.actor.likely = func(choice uint32) float32 { return []float32{-3, -0.5, float32(math.Inf(-1)), -1}[choice] }
	w := s.ask("POST", "/v1/completions", `{"model":"tiny","prompt":["a","b"],"n":2,"best_of":4,"max_tokens":3,"logprobs":0}`)
	var got struct {
		Choices []struct {
			Index    int
			Logprobs struct {
				Each []float64 `json:"token_logprobs"`
			}
		}
		Usage usage
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Choices) != 4 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	for i, want := range []float64{-0.5, -1, -0.5, -1} {
		if c := got.Choices[i]; c.Index != i || len(c.Logprobs.Each) != 3 || c.Logprobs.Each[0] != want {
			t.Errorf("choice %d: %+v, want %v", i, c, want)
		}
	}
	if got.Usage.Completion != 2*4*3 || got.Usage.Prompt != 2 {
		t.Errorf("usage %+v", got.Usage)
	}
	w = s.ask("POST", "/v1/completions", `{"model":"tiny","prompt":"a","best_of":4,"max_tokens":1}`)
	if body := w.Body.String(); !strings.Contains(body, `"logprobs":null`) || strings.Contains(body, `"index":1`) {
		t.Errorf("nobody asked for logprobs, or for a second choice: %s", body)
	}
}

// TestNothingNonFinite has an engine give every kind of number that JSON cannot say.
func TestNothingNonFinite(t *testing.T) {
	for _, f := range []float64{math.Inf(-1), math.Inf(1), math.NaN(), -1e30} {
		s := newStage(t)
		s.actor.likely = func(uint32) float32 { return float32(f) }
		for path, body := range map[string]string{
			chatPath: `{` + hello + `,"logprobs":true,"top_logprobs":2,"prompt_logprobs":2,"max_tokens":2}`,
			textPath: `{"model":"tiny","prompt":"ab","logprobs":2,"prompt_logprobs":2,"echo":true,"max_tokens":2}`,
		} {
			w := s.ask("POST", path, body)
			if w.Code != 200 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%v: %d %s", f, w.Code, w.Body)
			}
			if least := strings.Contains(w.Body.String(), "-9999.0"); least == math.IsInf(f, 1) {
				t.Errorf("%v became %s", f, w.Body)
			}
		}
		s.actor.vector = []float32{1, float32(f), 0, 0}
		w := s.ask("POST", embedPath, `{"model":"tiny","input":"x"}`)
		if f != -1e30 && (w.Code != 500 || !strings.Contains(w.Body.String(), "numeric_error")) {
			t.Errorf("a vector with %v: %d %s", f, w.Code, w.Body)
		}
	}
}

// TestVectors gives vectors that are hard to scale.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		in   []float32
		dims int
		want []float32
	}{
		{[]float32{3, 4}, 0, []float32{0.6, 0.8}},
		{[]float32{3, 4, 12}, 2, []float32{0.6, 0.8}},
		{[]float32{0, 0}, 0, []float32{0, 0}},
		{[]float32{1e-30, 0}, 0, []float32{1, 0}},
		{[]float32{3e38, 4e38 / 2}, 1, []float32{1}},
	} {
		short, err := shorten(c.in, c.dims)
		if got := unit(short); err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%v in %d: %v, %v", c.in, c.dims, got, err)
		}
	}
	if _, err := shorten([]float32{1}, 2); err == nil {
		t.Error("two values of one")
	}
	if _, err := shorten(nil, 0); err == nil {
		t.Error("no vector at all")
	}
}

// TestManyInputs embeds more texts than run at once, in their order.
func TestManyInputs(t *testing.T) {
	s := newStage(t)
	const n = 5 * maxPooledAtOnce
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Repeat("a b ", i%7+1)
	}
	b, _ := json.Marshal(map[string]any{"model": "tiny", "input": list, "truncate_prompt_tokens": 5})
	w := s.ask("POST", embedPath, string(b))
	var got embeddingList
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Data) != n {
		t.Fatalf("%v: %d %.200s", err, w.Code, w.Body)
	}
	for i, e := range got.Data {
		if e.Index != i || string(e.Vector) != string(got.Data[i%7].Vector) {
			t.Errorf("input %d: %+v", i, e)
		}
	}
	for _, req := range s.actor.sequences() {
		if req.GetPool() != wire.Pooling_POOLING_LAST || len(req.GetPrompt()) > 5 {
			t.Fatalf("the engine gets %v", req)
		}
	}
}

// TestNoPromptLogprobs has an engine that knows nothing of them.
func TestNoPromptLogprobs(t *testing.T) {
	for _, stream := range []string{`"prompt_logprobs":1`, `"echo":true,"logprobs":1`, `"echo":true,"logprobs":1,"stream":true`} {
		s := newStage(t)
		s.actor.event = func(_ int, ev *wire.GenerateEvent) error {
			if p := ev.GetPromptLogprobs(); p != nil {
				p.Tokens = nil
			}
			return nil
		}
		w := s.ask("POST", textPath, `{"model":"tiny","prompt":"abc","max_tokens":1,`+stream+`}`)
		if !strings.Contains(w.Body.String(), "internal_error") {
			t.Errorf("%s: %d %s", stream, w.Code, w.Body)
		}
	}
}

// TestTimes reads the headers that tell where the time went.
func TestTimes(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct{ path, body string }{
		{chatPath, `{` + hello + `}`},
		{chatPath, `{` + hello + `,"stream":true}`},
		{embedPath, `{"model":"tiny","input":"x"}`},
	} {
		h := s.ask("POST", c.path, c.body).Header()
		for _, name := range []string{"X-Nanofleet-Queue-Ms", "X-Nanofleet-Overhead-Ms", "Openai-Processing-Ms"} {
			if v, err := strconv.ParseFloat(h.Get(name), 64); err != nil || v < 0 || v > 10_000 {
				t.Errorf("%s: %s is %q", c.body, name, h.Get(name))
			}
		}
	}
	if h := s.ask("GET", "/v1/models", "").Header(); h.Get("X-Nanofleet-Queue-Ms") != "" {
		t.Error("a list of models waits for no engine")
	}
	w := s.ask("POST", chatPath, `{`+hello+`,"request_id":"mine-1"}`)
	if w.Header().Get("X-Request-Id") != "mine-1" || !strings.HasPrefix(s.audit.last().RequestID, "mine-1.") {
		t.Errorf("request_id is shown as %q and kept as %q", w.Header().Get("X-Request-Id"), s.audit.last().RequestID)
	}
}

// TestKwargs sends variables to a template that reads some of them.
func TestKwargs(t *testing.T) {
	template, err := chat.Parse(`{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking %} think {{ date }}{% endif %}{{ reasoning_effort }}`)
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Tokenizer: tinyMeta(t).Tokenizer, Template: template}
	for kwargs, want := range map[string]string{
		`{}`: "Hi",
		`{"enable_thinking":true,"date":"<|im_end|>","unread":5}`: "Hi think <|im_end|>",
		`{"reasoning_effort":"low"}`:                              "Hilow",
		`{"enable_thinking":false}`:                               "Hi",
	} {
		v, err := chat.ParseOrderedJSON(`{"messages":[{"role":"user","content":"Hi"}],"chat_template_kwargs":` + kwargs + `}`)
		if err != nil {
			t.Fatal(err)
		}
		in, err := object{dict: v.(*jinja.Dict)}.parseConversation()
		if err != nil {
			t.Fatal(err)
		}
		ids, err := m.render(in)
		if got := m.text(ids); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", kwargs, got, err, want)
		}
		for _, id := range ids {
			if m.Tokenizer.IsSpecial(id) {
				t.Errorf("%s: a variable became the control token %d", kwargs, id)
			}
		}
	}
}

// TestAliases counts under vLLM's names what ended well, was cut and failed.
func TestAliases(t *testing.T) {
	s := newStage(t)
	r := prometheus.NewRegistry()
	s.Gateway = New(Deps{
		Auth: oneKey{}, Catalog: shelf{s.actor.meta}, Router: s.actor, Limit: s.limiter, Audit: s.audit,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Aliases: r,
	})
	s.ask("POST", textPath, `{"model":"tiny","prompt":["a","b"],"max_tokens":2}`)
	s.ask("POST", chatPath, `{`+hello+`}`)
	s.actor.refuse = io.ErrUnexpectedEOF
	s.ask("POST", chatPath, `{`+hello+`}`)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ended := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "vllm:request_success_total" {
			for _, m := range f.GetMetric() { // labels are sorted by name
				ended[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
		counts := map[string]uint64{"vllm:request_queue_time_seconds": 3, "vllm:request_params_n": 3, "vllm:time_to_first_token_seconds": 3, "vllm:request_params_max_tokens": 1}
		if n, ok := counts[f.GetName()]; ok && f.GetMetric()[0].GetHistogram().GetSampleCount() != n {
			t.Errorf("%s: %v, want %d", f.GetName(), f, n)
		}
	}
	want := map[string]float64{"abort tiny": 0, "error tiny": 1, "length tiny": 2, "stop tiny": 1}
	if !maps.Equal(ended, want) {
		t.Errorf("ended: %v, want %v", ended, want)
	}
}

// TestNewKeys sends wrong keys to the endpoints beside OpenAI's.
func TestNewKeys(t *testing.T) {
	s := newStage(t)
	for path, fields := range fine {
		r := httptest.NewRequest("POST", path, strings.NewReader(`{`+fields+`}`))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%s without a key: %d", path, w.Code)
		}
		if w := s.ask("POST", path, `{`+fields+`}`); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
