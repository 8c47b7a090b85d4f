package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// Tokenise asks what tokens a model makes of a text, a BOS before them where it wants one.
func (c *Client) Tokenise(ctx context.Context, model, text string) ([]int32, error) {
	out, err := call[struct{ Tokens []int32 }](ctx, c, http.MethodPost, "/tokenize", map[string]any{"model": model, "prompt": text})
	return out.Tokens, err
}

// Detokenise asks for the text of tokens.
func (c *Client) Detokenise(ctx context.Context, model string, ids []int32) (string, error) {
	out, err := call[struct{ Prompt string }](ctx, c, http.MethodPost, "/detokenize", map[string]any{"model": model, "tokens": ids})
	return out.Prompt, err
}

// PromptLogprobs asks how likely a model finds ids[1:], each after those before it.
func (c *Client) PromptLogprobs(ctx context.Context, model string, ids []int32) ([]float32, error) {
	type answer struct {
		Choices []struct {
			PromptLogprobs []map[string]struct{ Logprob float32 } `json:"prompt_logprobs"`
		}
	}
	got, err := call[answer](ctx, c, http.MethodPost, "/v1/completions", map[string]any{"model": model, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0})
	if err != nil {
		return nil, err
	}
	if len(got.Choices) != 1 || len(got.Choices[0].PromptLogprobs) != len(ids) {
		return nil, fmt.Errorf("%s: no logprobs of the %d tokens of the prompt came", c.Endpoint(), len(ids))
	}
	var out []float32
	for i, told := range got.Choices[0].PromptLogprobs {
		one, ok := told[strconv.Itoa(int(ids[i]))]
		switch {
		case i == 0:
		case !ok:
			return nil, fmt.Errorf("%s: the logprob of token %d of the prompt is missing", c.Endpoint(), i)
		default:
			out = append(out, one.Logprob)
		}
	}
	return out, nil
}
