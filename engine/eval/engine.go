package eval

import (
	"context"
	"errors"
	"io"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// Engine scores with an engine of this process, whose longest sequence must have room for
// one token more than a window.
type Engine struct{ *engine.Engine }

// Score asks for the prompt's logprobs and for one token, which is thrown away.
func (e Engine) Score(ctx context.Context, ids []int32) (out []float32, err error) {
	s, err := e.Submit(&engine.Request{Prompt: ids, MaxTokens: 1, Sampling: sample.Defaults(), IgnoreEOS: true, PromptLogprobs: new(int)})
	if err != nil {
		return nil, err
	}
	defer s.Cancel()
	for {
		event, err := s.Next(ctx)
		switch told := event.(type) {
		case engine.PromptLogprobs:
			for _, t := range told.Tokens {
				out = append(out, t.Logprob)
			}
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Tokenise makes a text of what a file holds.
func Tokenise(t *tokenizer.Tokenizer, text string) Text {
	ids := t.Encode(text, tokenizer.EncodeOptions{AddBOS: true})
	out := Text{IDs: ids}
	for _, id := range ids[min(1, len(ids)):] {
		out.Bytes += len(t.TokenBytes(id))
	}
	return out
}
