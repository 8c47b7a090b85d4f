package chat

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

func TestInputErrors(t *testing.T) {
	tmpl := readTemplate(t, "qwen3")
	hello := list(t, []byte(`[{"role":"user","content":"hi"}]`))
	for name, in := range map[string]Input{
		"no messages":         {},
		"not an object":       {Messages: []jinja.Value{jinja.Untrusted("x")}},
		"replaces messages":   {Messages: hello, Kwargs: map[string]any{"messages": "x"}},
		"both ways to end":    {Messages: hello, AddGenerationPrompt: true, ContinueFinalMessage: true},
		"nothing to continue": {Messages: list(t, []byte(`[{"role":"assistant"}]`)), ContinueFinalMessage: true},
		"no text to continue": {Messages: list(t, []byte(`[{"role":"user","content":[{"type":"image"}, 5]}]`)), ContinueFinalMessage: true},
	} {
		_, err := tmpl.Render(in)
		var bad *InputError
		if !errors.As(err, &bad) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := tmpl.Render(Input{Messages: hello, Kwargs: map[string]any{"f": func() {}}}); err == nil {
		t.Error("a function passed as a template variable")
	}
}

func TestContinuationMustComeOut(t *testing.T) {
	in := Input{Messages: list(t, []byte(`[{"role":"assistant","content":"once"}]`)), ContinueFinalMessage: true}
	for _, source := range []string{"{{ messages|length }} content", "{{ messages[0].role }}"} {
		tmpl, err := Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tmpl.Render(in)
		var bad *InputError
		if !errors.As(err, &bad) {
			t.Errorf("%s: got %v", source, err)
		}
	}
}

func TestKwargsReplaceTokens(t *testing.T) {
	tmpl, err := Parse("{{ bos_token }}|{{ eos_token }}|{{ unk_token }}")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{
		Messages: list(t, []byte(`[{"role":"user"}]`)),
		BOS:      "<s>", EOS: "</s>",
		Kwargs: map[string]any{"eos_token": "<x>"},
	}
	segments, err := tmpl.RenderSegments(in)
	if got := show(segments); err != nil || got != "trusted \"<s>|\"\nuntrusted \"<x>\"\ntrusted \"|\"\n" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestLimitsHold(t *testing.T) {
	tmpl, err := Parse("{% for i in range(100000) %}{{ messages[0].content * 1000 }}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Messages: list(t, []byte(`[{"content":"x"}]`))}
	var limit *LimitError
	if _, err := tmpl.Render(in); !errors.As(err, &limit) {
		t.Errorf("got %v", err)
	}
	in.Limits = jinja.Limits{Steps: 10}
	if _, err := tmpl.Render(in); !errors.As(err, &limit) || limit.What != "steps" || limit.Limit != 10 {
		t.Errorf("got %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	var syntax *SyntaxError
	if _, err := Parse("{% if %}"); !errors.As(err, &syntax) || syntax.Line != 1 {
		t.Errorf("got %v", err)
	}
	var limit *LimitError
	if _, err := Parse(strings.Repeat("x", 1<<20+1)); !errors.As(err, &limit) {
		t.Errorf("got %v", err)
	}
}

// TestConcurrentRenderings shares one template and one conversation.
func TestConcurrentRenderings(t *testing.T) {
	for model := range modelTokens {
		tmpl := readTemplate(t, model)
		for _, c := range readConversations(t)[:12] {
			in := c.input(t, model)
			want, wantErr := tmpl.Render(in)
			var wait sync.WaitGroup
			for range 8 {
				wait.Go(func() {
					got, err := tmpl.Render(in)
					if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
						t.Errorf("%s, %s: got %q, %v", model, c.Name, got, err)
					}
				})
			}
			wait.Wait()
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for _, model := range []string{"smollm2", "qwen3", "llama3"} {
		b.Run(model, func(b *testing.B) {
			tmpl := readTemplate(b, model)
			in := longChat(b).input(b, model)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.RenderSegments(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// longChat is the golden conversation of twenty-one messages.
func longChat(t testing.TB) *conversation {
	t.Helper()
	for _, c := range readConversations(t) {
		if c.Name == "twenty-one messages, prompted" {
			return &c
		}
	}
	t.Fatal("no long conversation")
	return nil
}

func BenchmarkParse(b *testing.B) {
	source := readTemplate(b, "qwen3").Source()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(source); err != nil {
			b.Fatal(err)
		}
	}
}
