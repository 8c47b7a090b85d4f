package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// TestHonestTemplatesAreFarFromLimits renders everything that we have goldens for, and
// conversations of some length, with a quarter of the steps and output that they get.
// Thousands of turns come near to the bounds, which do not grow any more.
func TestHonestTemplatesAreFarFromLimits(t *testing.T) {
	cases := readConversations(t)
	for model := range modelTokens {
		tmpl := readTemplate(t, model)
		check := func(name string, share int, in Input) {
			l := in.limits()
			in.Limits = jinja.Limits{Steps: l.Steps / share, OutputBytes: l.OutputBytes / share}
			var limit *LimitError
			if _, err := tmpl.Render(in); errors.As(err, &limit) {
				t.Errorf("%s, %s: %v, 1/%d of what it gets", model, name, err, share)
			}
		}
		for _, c := range cases {
			check(c.Name, 4, c.input(t, model))
		}
		for n, share := range map[int]int{100: 4, 1000: 4, 3000: 2} {
			check(fmt.Sprintf("%d turns", n), share, turns(t, n, "What is a cat? "))
		}
		check("long texts", 2, turns(t, 20, strings.Repeat("<think>a</think> word\n", 1000)))
	}
}

// turns is a conversation of n questions and answers.
func turns(t *testing.T, n int, text string) Input {
	t.Helper()
	text = strings.ReplaceAll(text, "\n", `\n`)
	pair := `{"role":"user","content":"` + text + `"},{"role":"assistant","content":"` + text + `"}`
	return Input{Messages: list(t, []byte("["+strings.Repeat(pair+",", n-1)+pair+"]")), AddGenerationPrompt: true}
}

// TestLimitsGrow with values and bytes, as far as the bounds.
func TestLimitsGrow(t *testing.T) {
	small, many, long := turns(t, 1, "x"), turns(t, 100, "x"), turns(t, 1, strings.Repeat("x", 100_000))
	huge := turns(t, 6000, strings.Repeat("x", 300))
	s, m, l, h := small.limits(), many.limits(), long.limits(), huge.limits()
	if s.Steps < leastSteps || s.Steps > leastSteps+5000 || m.Steps <= s.Steps || l.Steps <= s.Steps || l.OutputBytes <= s.OutputBytes {
		t.Errorf("%+v of one turn, %+v of many, %+v of a long one", s, m, l)
	}
	if h != jinja.DefaultLimits {
		t.Errorf("%+v of a huge conversation, want %+v", h, jinja.DefaultLimits)
	}
	small.Limits.Steps = 7
	if got := small.limits(); got.Steps != 7 || got.OutputBytes != s.OutputBytes {
		t.Errorf("%+v where 7 steps were given", got)
	}
}
