package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestPromptLogprobs reads a whole answer and refuses one that lacks a token.
func TestPromptLogprobs(t *testing.T) {
	for answer, want := range map[string]struct {
		logprobs []float32
		says     string
	}{
		`{"choices":[{"prompt_logprobs":[null,{"7":{"logprob":-0.5,"rank":1}},{"9":{"logprob":-2,"rank":3},"4":{"logprob":-0.1,"rank":1}}]}]}`: {[]float32{-0.5, -2}, ""},
		`{"choices":[{"prompt_logprobs":[null,{"7":{"logprob":-0.5}},{"4":{"logprob":-0.1}}]}]}`:                                               {nil, "token 2"},
		`{"choices":[{"prompt_logprobs":[null,{"7":{"logprob":-0.5}}]}]}`:                                                                      {nil, "no logprobs of the 3"},
		`{"choices":[]}`: {nil, "no logprobs"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(answer))
		}))
		got, err := NewClient(server.URL, "key", nil).PromptLogprobs(t.Context(), "tiny", []int32{1, 7, 9})
		server.Close()
		if !slices.Equal(got, want.logprobs) || (err == nil) != (want.says == "") || err != nil && !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v, %v", answer, got, err)
		}
	}
}
