package gateway

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// refusal reads an error answer, which must have OpenAI's form.
func refusal(t *testing.T, w *httptest.ResponseRecorder) (message, kind, param, code string) {
	t.Helper()
	var body map[string]map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v in %q", err, w.Body)
	}
	e := body["error"]
	for _, name := range []string{"message", "type", "param", "code"} {
		if _, ok := e[name]; !ok {
			t.Fatalf("the error lacks %q: %s", name, w.Body)
		}
	}
	text := func(v any) string { s, _ := v.(string); return s }
	return text(e["message"]), text(e["type"]), text(e["param"]), text(e["code"])
}

const hello = `"model":"tiny","messages":[{"role":"user","content":"Hello!"}]`

// TestBadRequests sends what apps and attackers send. Each refusal names field,
// value and bound.
func TestBadRequests(t *testing.T) {
	long, _ := json.Marshal(strings.Repeat("Where is the cat? ", tiny.Context))
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	context := fmt.Sprint(tiny.Context)
	for _, c := range []struct {
		fields string // of a chat request that is fine without them
		body   string // or the whole body, of a completion if it has a prompt
		status int
		code   string
		param  string
		says   string // words that the message holds
	}{
		// What is no request.
		{body: ``, code: "invalid_json"},
		{body: `hello`, code: "invalid_json"},
		{body: `[1]`, code: "invalid_json", says: "an array"},
		{body: `null`, code: "invalid_json", says: "null"},
		{body: `{` + hello + `} {}`, code: "invalid_json"},
		{body: `{"model":"tiny","messages":` + deep + `}`, code: "invalid_json", says: "deep"},
		{body: `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("a", 20<<20) + `"}]}`, status: 413, code: "request_too_large", says: "10485760 bytes"},
		{body: "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}", code: "invalid_json", says: "UTF-8"},
		{fields: `"model":"tiny"`, code: "invalid_json", says: "model twice"},
		{fields: `"temperature":NaN`, code: "invalid_json"},
		{fields: `"temperature":Infinity`, code: "invalid_json"},
		{fields: `"temperature":1e999`, code: "invalid_json"},

		// Keys in another case.
		{fields: `"Temperature":0`, param: "Temperature", says: "temperature case-sensitive"},
		{fields: `"MODEL":"x"`, param: "MODEL", says: "model"},
		{body: `{"model":"tiny","messages":[{"role":"user","Content":"x"}]}`, param: "messages[0].Content", says: "content"},

		// Models.
		{body: `{"messages":[{"role":"user","content":"x"}]}`, code: "missing_required_parameter", param: "model"},
		{body: `{"model":7,"messages":[]}`, code: "invalid_type", param: "model", says: "a string an integer"},
		{body: `{"model":"` + strings.Repeat("m", 300) + `","messages":[]}`, param: "model", says: "300 256"},
		{body: `{"model":"gpt-9","messages":[{"role":"user","content":"x"}]}`, status: 404, code: "model_not_found", param: "model", says: "gpt-9"},
		{body: `{"model":"bare","messages":[{"role":"user","content":"x"}]}`, param: "model", says: "chat template"},
		{body: `{"model":"broken","messages":[{"role":"user","content":"x"}]}`, status: 500, code: "internal_error"},

		// Numbers.
		{fields: `"temperature":-1`, param: "temperature", says: "-1 0 2"},
		{fields: `"temperature":"1"`, code: "invalid_type", param: "temperature", says: "a number a string"},
		{fields: `"temperature":2.5`, param: "temperature", says: "2.5"},
		{fields: `"temperature":9`, param: "temperature", says: "got 9 instead"},
		{fields: `"temperature":123456789012345678901234567890`, param: "temperature", says: "got 1.2345678901234568e+29 instead"},
		{fields: `"top_p":1.5`, param: "top_p", says: "1.5 1"},
		{fields: `"top_p":0`, param: "top_p", says: "above 0"},
		{fields: `"min_p":-0.1`, param: "min_p"},
		{fields: `"repetition_penalty":0`, param: "repetition_penalty"},
		{fields: `"presence_penalty":3`, param: "presence_penalty", says: "-2 2 3"},
		{fields: `"frequency_penalty":-3`, param: "frequency_penalty", says: "-3"},
		{fields: `"top_k":-2`, param: "top_k", says: "-2 -1"},
		{fields: `"top_k":1.5`, code: "invalid_type", param: "top_k", says: "an integer"},
		{fields: `"max_tokens":-5`, param: "max_tokens", says: "-5 1"},
		{fields: `"max_tokens":0`, param: "max_tokens"},
		{fields: `"max_completion_tokens":9223372036854775808`, param: "max_completion_tokens", says: "range"},
		{fields: `"max_tokens":1024`, code: "context_length_exceeded", param: "messages", says: context + " 1056 32"},
		{fields: `"min_tokens":5,"max_tokens":4`, param: "min_tokens", says: "5 4"},
		{fields: `"min_tokens":-1`, param: "min_tokens"},
		{fields: `"n":0`, param: "n", says: "1 128"},
		{fields: `"n":1000000`, param: "n", says: "1000000"},
		{fields: `"seed":1.5`, code: "invalid_type", param: "seed"},
		{fields: `"seed":99999999999999999999`, param: "seed"},
		{fields: `"priority":4294967296`, param: "priority"},
		{fields: `"top_logprobs":21,"logprobs":true`, param: "top_logprobs", says: "21 20"},
		{fields: `"top_logprobs":1`, param: "top_logprobs", says: "logprobs"},
		{fields: `"logprobs":1`, code: "invalid_type", param: "logprobs", says: "a boolean"},

		// Lists and objects.
		{fields: `"stop":7`, code: "invalid_type", param: "stop"},
		{fields: `"stop":[7]`, code: "invalid_type", param: "stop"},
		{fields: `"stop":""`, param: "stop", says: "0 256"},
		{fields: `"stop":[` + strings.Repeat(`"a",`, 60_000) + `"a"]`, param: "stop", says: "60001 16"},
		{fields: `"stop_token_ids":[-1]`, param: "stop_token_ids"},
		{fields: `"stop_token_ids":[512]`, param: "stop_token_ids", says: "512"},
		{fields: `"stop_token_ids":[` + strings.Repeat(`1,`, 64) + `1]`, param: "stop_token_ids", says: "65 64"},
		{fields: `"logit_bias":{"x":1}`, param: "logit_bias", says: "x"},
		{fields: `"logit_bias":{"1":101}`, param: "logit_bias.1", says: "101"},
		{fields: `"logit_bias":{"512":1}`, param: "logit_bias", says: "512"},
		{fields: `"logit_bias":[]`, code: "invalid_type", param: "logit_bias"},
		{fields: `"logit_bias":{` + many(1025) + `}`, param: "logit_bias", says: "1025 1024"},
		{fields: `"stream":1`, code: "invalid_type", param: "stream"},
		{fields: `"stream_options":{}`, param: "stream_options", says: "stream"},
		{fields: `"stream":true,"stream_options":{"include_usage":1}`, code: "invalid_type", param: "stream_options.include_usage"},
		{fields: `"ignore_eos":"yes"`, code: "invalid_type", param: "ignore_eos"},
		{fields: `"cache_salt":"` + strings.Repeat("s", 257) + `"`, param: "cache_salt", says: "257 256"},
		{fields: `"chat_template_kwargs":{"messages":[]}`, param: "chat_template_kwargs.messages"},
		{fields: `"chat_template_kwargs":{"bos_token":"x"}`, param: "chat_template_kwargs.bos_token"},
		{fields: `"continue_final_message":true,"add_generation_prompt":true`, param: "continue_final_message", says: "compatible"},
		{fields: `"reasoning_effort":1`, code: "invalid_type", param: "reasoning_effort"},

		// What is known and not served.
		{fields: `"tools":[{"type":"function"}]`, code: "unsupported_value", param: "tools"},
		{fields: `"tool_choice":"required"`, code: "unsupported_value", param: "tool_choice"},
		{fields: `"response_format":{"type":"json_object"}`, code: "unsupported_value", param: "response_format"},
		{fields: `"response_format":"json"`, code: "unsupported_value", param: "response_format"},
		{fields: `"guided_json":{}`, code: "unsupported_value", param: "guided_json"},
		{fields: `"modalities":["audio"]`, code: "unsupported_value", param: "modalities"},
		{fields: `"best_of":2`, code: "unsupported_value", param: "best_of", says: "2 1 /v1/completions"},
		{fields: `"use_beam_search":true`, code: "unsupported_value", param: "use_beam_search"},
		{fields: `"chat_template":"x"`, code: "unsupported_value", param: "chat_template"},

		// Messages.
		{body: `{"model":"tiny"}`, code: "missing_required_parameter", param: "messages"},
		{body: `{"model":"tiny","messages":[]}`, code: "missing_required_parameter", param: "messages"},
		{body: `{"model":"tiny","messages":"Hello"}`, code: "invalid_type", param: "messages"},
		{body: `{"model":"tiny","messages":["Hello"]}`, code: "invalid_type", param: "messages[0]"},
		{body: `{"model":"tiny","messages":[{"content":"x"}]}`, param: "messages[0].role"},
		{body: `{"model":"tiny","messages":[{"role":"` + strings.Repeat("r", 99) + `","content":"x"}]}`, param: "messages[0].role", says: "'system'"},
		{body: `{"model":"tiny","messages":[{"role":5,"content":"x"}]}`, code: "invalid_type", param: "messages[0].role"},
		{body: `{"model":"tiny","messages":[{"role":"tool","content":"x"}]}`, code: "unsupported_value", param: "messages[0].role"},
		{body: `{"model":"tiny","messages":[{"role":"user"}]}`, code: "missing_required_parameter", param: "messages[0].content"},
		{body: `{"model":"tiny","messages":[{"role":"user","content":7}]}`, code: "invalid_type", param: "messages[0].content"},
		{body: `{"model":"tiny","messages":[{"role":"user","content":["x"]}]}`, code: "invalid_type", param: "messages[0].content[0]"},
		{body: `{"model":"tiny","messages":[{"role":"user","content":[{"type":"text"}]}]}`, code: "invalid_type", param: "messages[0].content[0].text"},
		{body: `{"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`, code: "unsupported_value", param: "messages[0].content[0].type", says: "image_url"},
		{body: `{"model":"tiny","messages":[{"role":"assistant","tool_calls":[{}]}]}`, code: "unsupported_value", param: "messages[0].tool_calls"},
		{body: `{"model":"tiny","messages":[` + strings.Repeat(`{"role":"user","content":"x"},`, 4096) + `{}]}`, param: "messages", says: "4097 4096"},
		{body: `{"model":"tiny","messages":[{"role":"user","content":` + string(long) + `}]}`, code: "context_length_exceeded", param: "messages", says: context + " 9246"},

		// Prompts.
		{body: `{"model":"tiny","prompt":null}`, code: "missing_required_parameter", param: "prompt"},
		{body: `{"model":"tiny","prompt":7}`, code: "invalid_type", param: "prompt"},
		{body: `{"model":"tiny","prompt":""}`, param: "prompt", says: "no tokens"},
		{body: `{"model":"tiny","prompt":[]}`, param: "prompt", says: "empty"},
		{body: `{"model":"tiny","prompt":["a",[1]]}`, code: "invalid_type", param: "prompt"},
		{body: `{"model":"tiny","prompt":["a",1]}`, code: "invalid_type", param: "prompt"},
		{body: `{"model":"tiny","prompt":[1,-1]}`, param: "prompt", says: "item 1"},
		{body: `{"model":"tiny","prompt":[[1],["x"]]}`, param: "prompt", says: "item 0"},
		{body: `{"model":"tiny","prompt":[512]}`, param: "prompt", says: "512"},
		{body: `{"model":"tiny","prompt":[` + strings.Repeat(`"a",`, 128) + `"a"]}`, param: "prompt", says: "129 128"},
		{body: `{"model":"tiny","prompt":[` + strings.Repeat(`"a",`, 63) + `"a"],"n":3}`, param: "n", says: "192 128"},
		{body: `{"model":"tiny","prompt":` + string(long) + `}`, code: "context_length_exceeded", param: "prompt", says: context},
		{body: `{"model":"tiny","prompt":"x","logprobs":true}`, code: "invalid_type", param: "logprobs"},
		{body: `{"model":"tiny","prompt":"x","logprobs":-1}`, param: "logprobs", says: "-1 0 20"},
		{body: `{"model":"tiny","prompt":"x","suffix":"y"}`, code: "unsupported_value", param: "suffix"},
		{body: `{"model":"tiny","prompt":"x","echo":3}`, code: "invalid_type", param: "echo"},
	} {
		s := newStage(t)
		path, body := "/v1/chat/completions", c.body
		if c.fields != "" {
			body = `{` + hello + `,` + c.fields + `}`
		}
		if strings.Contains(body, `"prompt":`) {
			path = "/v1/completions"
		}
		shown := body[:min(len(body), 120)]
		w := s.ask("POST", path, body)
		message, kind, param, code := refusal(t, w)
		if c.status == 0 {
			c.status = 400
		}
		if w.Code != c.status || param != c.param || (c.code != "" && code != c.code) {
			t.Errorf("%s: %d %s; want %d, param %q, code %q", shown, w.Code, w.Body, c.status, c.param, c.code)
		}
		if wantKind := map[bool]string{true: "invalid_request_error", false: "server_error"}[c.status < 500]; kind != wantKind {
			t.Errorf("%s: type %q, want %q", shown, kind, wantKind)
		}
		for _, word := range strings.Fields(c.says) {
			if !strings.Contains(message, word) {
				t.Errorf("%s: %q does not say %q", shown, message, word)
			}
		}
		if n := len(s.actor.sequences()); n > 0 {
			t.Errorf("%s: %d sequences reached an engine", shown, n)
		}
		if len(message) > 1000 {
			t.Errorf("%s: a message of %d bytes", shown, len(message))
		}
	}
}

// many are n entries of logit_bias.
func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"%d":1`, i))
	}
	return strings.Join(list, ",")
}

// TestWhatIsNoBody sends bodies that are cut or packed.
func TestWhatIsNoBody(t *testing.T) {
	s := newStage(t)
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader("{}"))
	r.Header.Set("Authorization", testKey)
	r.Header.Set("Content-Encoding", "gzip")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if message, _, _, _ := refusal(t, w); w.Code != 415 || !strings.Contains(message, "gzip") {
		t.Errorf("gzip: %d %s", w.Code, w.Body)
	}
}

// TestKeys sends wrong keys to every endpoint.
func TestKeys(t *testing.T) {
	s := newStage(t)
	for _, target := range []string{"POST /v1/chat/completions", "POST /v1/completions", "GET /v1/models", "GET /v1/models/tiny", "GET /v1/unknown", "GET /v1//models"} {
		for _, header := range []string{"", "Bearer wrong", testKey + "x"} {
			method, path, _ := strings.Cut(target, " ")
			r := httptest.NewRequest(method, path, strings.NewReader(`{`+hello+`}`))
			r.Header.Set("Authorization", header)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code == 301 || w.Code == 307 { // the mux cleans the path, and the next request is checked
				continue
			}
			if _, _, _, code := refusal(t, w); w.Code != 401 || code != "invalid_api_key" || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %q: %d %s", target, header, w.Code, w.Body)
			}
		}
	}
	if n := len(s.actor.sequences()); n > 0 {
		t.Errorf("%d sequences ran without a key", n)
	}
}
