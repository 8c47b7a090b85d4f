package engine

import (
	"errors"
	"fmt"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/sample"
)

// Bounds on a request's stop rules.
const (
	maxStops      = 16
	maxStopBytes  = 256
	maxStopTokens = 128
)

// check gives the most tokens the sequence may have, prompt included.
func (e *Engine) check(r *Request) (most int, err error) {
	context := e.context()
	prompt := len(r.Prompt)
	switch {
	case prompt == 0:
		return 0, &InvalidError{"prompt", "no tokens", "at least one token"}
	case prompt >= context:
		return 0, &ContextError{Prompt: prompt, Context: context}
	case r.MaxTokens < 0:
		return 0, &InvalidError{"max_tokens", r.MaxTokens, "at least 1, or 0 for up to the context's end"}
	case prompt+r.MaxTokens > context:
		return 0, &ContextError{Prompt: prompt, MaxTokens: r.MaxTokens, Context: context}
	case r.Resumed < 0 || r.Resumed >= prompt:
		return 0, &InvalidError{"resumed", r.Resumed, fmt.Sprintf("from 0 to %d, less than the prompt has tokens", prompt-1)}
	}
	most = prompt + r.MaxTokens
	if r.MaxTokens == 0 {
		most = context
	}
	if own := prompt - r.Resumed; r.MinTokens < 0 || own+r.MinTokens > most {
		return 0, &InvalidError{"min_tokens", r.MinTokens, fmt.Sprintf("from 0 to max_tokens (%d)", most-own)}
	}
	if r.Pool != PoolNone {
		most = prompt + 1 // it never comes
	}
	for _, check := range []func(*Request) error{e.checkTokens, e.checkReports, e.checkRules} {
		if err := check(r); err != nil {
			return 0, err
		}
	}
	return most, nil
}

// checkReports bounds what is asked for beside tokens.
func (e *Engine) checkReports(r *Request) error {
	n := r.PromptLogprobs
	switch {
	case n != nil && (*n < 0 || *n > min(abi.MaxTop, e.cfg.Vocab)):
		return &InvalidError{"prompt_logprobs", *n, fmt.Sprintf("from 0 to %d", min(abi.MaxTop, e.cfg.Vocab))}
	case r.Pool < PoolNone || r.Pool > PoolMean:
		return &InvalidError{"pool", int(r.Pool), "none (0), last (1) or mean (2)"}
	case r.Pool != PoolNone && n != nil:
		return &InvalidError{"prompt_logprobs", *n, "absent where a vector is asked for"}
	case r.Pool != PoolNone && e.cfg.Width == 0:
		return &InvalidError{"pool", int(r.Pool), "none (0): this model has no head that a vector would be for"}
	}
	return nil
}

// context is the longest sequence that positions and pages allow: one that fits the
// pool alone can always go on, since the others give way.
func (e *Engine) context() int {
	l := e.cfg.Limits
	return int(min(uint64(l.MaxPositions), uint64(l.Pages)*abi.PageLen))
}

// checkTokens bounds every token id.
func (e *Engine) checkTokens(r *Request) error {
	within := func(field string, id int32) error {
		if id < 0 || int(id) >= e.cfg.Vocab {
			return &InvalidError{field, id, fmt.Sprintf("a token id from 0 to %d", e.cfg.Vocab-1)}
		}
		return nil
	}
	for _, id := range r.Prompt {
		if err := within("prompt", id); err != nil {
			return err
		}
	}
	for _, id := range r.StopTokens {
		if err := within("stop_tokens", id); err != nil {
			return err
		}
	}
	for _, b := range r.Biases {
		if err := within("biases", b.Token); err != nil {
			return err
		}
		if !(b.Bias >= -100 && b.Bias <= 100) {
			return &InvalidError{"biases", b.Bias, "from -100 to 100"}
		}
	}
	return nil
}

// checkRules bounds sampling parameters and stop rules.
func (e *Engine) checkRules(r *Request) error {
	var bad *sample.Error
	if err := sample.Check(r.Sampling); errors.As(err, &bad) {
		return &InvalidError{bad.Field, bad.Value, bad.Bound}
	}
	if len(r.Stop) > maxStops {
		return &InvalidError{"stop", len(r.Stop), fmt.Sprintf("at most %d strings", maxStops)}
	}
	for _, s := range r.Stop {
		if len(s) == 0 || len(s) > maxStopBytes {
			return &InvalidError{"stop", len(s), fmt.Sprintf("a string of 1 to %d bytes", maxStopBytes)}
		}
	}
	if len(r.StopTokens) > maxStopTokens {
		return &InvalidError{"stop_tokens", len(r.StopTokens), fmt.Sprintf("at most %d ids", maxStopTokens)}
	}
	return nil
}
