package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/wire"
)

// TestPromptLogprobsAreComputedOnce asks for several choices of several prompts: one
// sequence of each prompt is asked for the prompt's logprobs, and all choices show them.
func TestPromptLogprobsAreComputedOnce(t *testing.T) {
	for _, c := range []struct {
		fields           string
		prompts, choices int
	}{
		{`"n":3,"prompt_logprobs":1`, 2, 3},
		{`"n":2,"best_of":4,"prompt_logprobs":0`, 2, 2},
		{`"n":3,"echo":true,"logprobs":1`, 2, 3},
		{`"n":1,"prompt_logprobs":1`, 2, 1},
	} {
		s := newStage(t)
		w := s.ask("POST", textPath, `{"model":"tiny","prompt":["Hello, world","ab"],"max_tokens":2,`+c.fields+`}`)
		var got struct {
			Choices []struct {
				Prompt   json.RawMessage `json:"prompt_logprobs"`
				Logprobs json.RawMessage `json:"logprobs"`
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Choices) != c.prompts*c.choices {
			t.Fatalf("%s: %s", c.fields, w.Body)
		}
		for i, choice := range got.Choices {
			first := got.Choices[i-i%c.choices]
			if len(choice.Prompt)+len(choice.Logprobs) < 40 || string(choice.Prompt) != string(first.Prompt) || string(choice.Logprobs) != string(first.Logprobs) {
				t.Errorf("%s: choice %d has %s %s, the first %s %s", c.fields, i, choice.Prompt, choice.Logprobs, first.Prompt, first.Logprobs)
			}
		}
		asked := 0
		for _, req := range s.actor.sequences() {
			if req.PromptLogprobs != nil {
				asked++
			}
			if (req.PromptLogprobs != nil) != (req.Choice == 0) {
				t.Errorf("%s: candidate %d asks %v", c.fields, req.Choice, req.PromptLogprobs)
			}
		}
		if asked != c.prompts {
			t.Errorf("%s: %d sequences were asked for prompt logprobs, want %d", c.fields, asked, c.prompts)
		}
	}
}

// TestStreamedPromptLogprobsAreShared streams them: each choice begins with its
// prompt, whichever of them has text first.
func TestStreamedPromptLogprobsAreShared(t *testing.T) {
	s := newStage(t)
	w := s.ask("POST", textPath, `{"model":"tiny","prompt":["Hello, world","a"],"max_tokens":3,"n":4,"echo":true,"logprobs":1,"stream":true}`)
	begun := map[int]bool{}
	for line := range strings.Lines(w.Body.String()) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var ev struct {
			Choices []struct {
				Index int
				Text  string
			}
		}
		if err := json.Unmarshal([]byte(data), &ev); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		for _, c := range ev.Choices {
			if !begun[c.Index] && c.Text != []string{"Hello, world", "a"}[c.Index/4] {
				t.Errorf("choice %d begins with %q", c.Index, c.Text)
			}
			begun[c.Index] = true
		}
	}
	if len(begun) != 8 {
		t.Errorf("%d choices: %s", len(begun), w.Body)
	}
}

// TestLeadThatFails takes the choices that wait for it down with it.
func TestLeadThatFails(t *testing.T) {
	for name, fail := range map[string]func(ev *wire.GenerateEvent) error{
		"an error": func(ev *wire.GenerateEvent) error {
			if ev.GetPromptLogprobs() != nil {
				return &Error{Status: 503, Message: "gone"}
			}
			return nil
		},
		"too few": func(ev *wire.GenerateEvent) error {
			if p := ev.GetPromptLogprobs(); p != nil {
				p.Tokens = p.Tokens[:1]
			}
			return nil
		},
	} {
		s := newStage(t)
		s.actor.event = func(_ int, ev *wire.GenerateEvent) error { return fail(ev) }
		w := s.ask("POST", textPath, `{"model":"tiny","prompt":"Hello, world","max_tokens":2,"n":8,"prompt_logprobs":1}`)
		if w.Code < 500 || len(s.actor.sequences()) != 1 {
			t.Errorf("%s: %d %s after %d sequences, want a failure after 1", name, w.Code, w.Body, len(s.actor.sequences()))
		}
	}
}
