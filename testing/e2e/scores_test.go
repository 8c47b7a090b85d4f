package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPromptLogprobsOnce asks for five choices with the prompt's logprobs: the engine
// computes the prompt once, and the other candidates find it in the cache but for its
// last page.
func TestPromptLogprobsOnce(t *testing.T) {
	f := up(t)
	prompt, err := json.Marshal(strings.Repeat("Where is the cat? ", 30))
	if err != nil {
		t.Fatal(err)
	}
	const choices = 5
	code, out := f.post("/v1/completions", f.key, []byte(fmt.Sprintf(`{"model":"tiny","prompt":%s,"max_tokens":2,"n":%d,"prompt_logprobs":1}`, prompt, choices)))
	if code != 200 || len(out["choices"].([]any)) != choices {
		t.Fatalf("status %d: %v", code, out)
	}
	first := fmt.Sprint(out["choices"].([]any)[0].(map[string]any)["prompt_logprobs"])
	for i, c := range out["choices"].([]any) {
		if got := fmt.Sprint(c.(map[string]any)["prompt_logprobs"]); got != first || len(got) < 1000 {
			t.Errorf("choice %d has other logprobs of the prompt", i)
		}
	}
	tokens := out["usage"].(map[string]any)["prompt_tokens"].(float64)
	told := 0.0
	f.until("the engine tells of all five", func() bool {
		told = f.metric("nanofleet_instance_prompt_tokens_total") // one more of its warm-up
		return told >= choices*tokens
	})
	most := tokens + (choices-1)*64 + 1
	if fresh := told - f.metric("nanofleet_instance_cached_tokens_total"); fresh < tokens || fresh > most {
		t.Errorf("%v of %d prompts of %v tokens were computed, want at most %v", fresh, choices, tokens, most)
	}
}
