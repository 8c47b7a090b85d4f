package gateway

import (
	"fmt"
	"net/http"

	"github.com/nanofleet/nanofleet/wire"
)

// job is a parsed request: its prompts, to be run with the same options.
type job struct {
	*options
	model   *Model
	prompts [][]int32
	pool    wire.Pooling
}

// parallel is how many sequences run at once.
func (j *job) parallel() int {
	if j.pool != wire.Pooling_POOLING_NONE {
		return maxPooledAtOnce
	}
	return maxSequences
}

// lead is the first of the candidates that share a sequence's prompt: it alone asks for
// the prompt's logprobs, which are the same for all.
func (j *job) lead(i int) int { return i - i%max(j.candidates, 1) }

// sequences are the job's wire requests: candidates of the first prompt first.
func (j *job) sequences(x *exchange) []*wire.GenerateRequest {
	list := make([]*wire.GenerateRequest, 0, len(j.prompts)*j.candidates)
	for _, prompt := range j.prompts {
		for choice := range j.candidates {
			list = append(list, j.sequence(x, prompt, choice, len(list)))
		}
	}
	return list
}

func (j *job) sequence(x *exchange, prompt []int32, choice, index int) *wire.GenerateRequest {
	req := &wire.GenerateRequest{
		RequestId:   x.id,
		Project:     x.identity.Project,
		Prompt:      prompt,
		MaxTokens:   uint32(j.maxTokens),
		MinTokens:   uint32(j.minTokens),
		Sampling:    j.sampling,
		Seed:        j.seed,
		Choice:      uint32(choice),
		Stop:        j.stop,
		StopTokens:  j.stopTokens,
		IgnoreEos:   j.ignoreEOS,
		IncludeStop: j.includeStop,
		KeepSpecial: j.keepSpecial,
		Priority:    j.priority,
		CacheSalt:   saltOf(x.identity.Project, j.salt),
		Pool:        j.pool,
	}
	if choice == 0 {
		req.PromptLogprobs = j.askTop
	}
	if index > 0 {
		req.RequestId = fmt.Sprintf("%s-%d", x.id, index)
	}
	if j.timeout > 0 {
		req.DeadlineUnixMs = x.started.Add(j.timeout).UnixMilli()
	}
	return req
}

// cutPrompts keeps the end of prompts that are too long, where the request says so.
func (j *job) cutPrompts() (cut bool) {
	most := j.truncate
	if most == -1 {
		most = max(j.model.Context-max(j.maxTokens, 1), 1)
	}
	for i, prompt := range j.prompts {
		if most > 0 && len(prompt) > most {
			j.prompts[i], cut = prompt[len(prompt)-most:], true
		}
	}
	return cut
}

// saltOf separates prefix caches: by project always, and by the request's own
// salt within it. Project names hold no zero byte.
func saltOf(project, salt string) []byte { return []byte(project + "\x00" + salt) }

// check refuses what the model cannot run: prompts beyond its context, and ids
// beyond its vocabulary.
func (j *job) check(promptField string) error {
	for _, prompt := range j.prompts {
		if err := j.checkLength(promptField, len(prompt)); err != nil {
			return err
		}
		if err := j.model.checkIDs(promptField, prompt); err != nil {
			return err
		}
	}
	for _, b := range j.sampling.GetBiases() {
		if err := j.model.checkIDs("logit_bias", []int32{b.Token}); err != nil {
			return err
		}
	}
	return j.model.checkIDs("stop_token_ids", j.stopTokens)
}

func (j *job) checkLength(field string, prompt int) error {
	e := &Error{Status: http.StatusBadRequest, Code: "context_length_exceeded", Param: field}
	limit := j.model.Context
	switch {
	case prompt == 0:
		return bad(field, "the prompt has no tokens.")
	case prompt >= limit:
		e.Message = fmt.Sprintf("This model's maximum context length is %d tokens. However, your %s resulted in %d tokens. Please reduce the length of the %s.", limit, field, prompt, field)
	case prompt+j.maxTokens > limit:
		e.Message = fmt.Sprintf("This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the %s, %d in the completion). Please reduce one of them.", limit, prompt+j.maxTokens, prompt, field, j.maxTokens)
	default:
		return nil
	}
	return e
}

func (m *Model) checkIDs(field string, ids []int32) error {
	for _, id := range ids {
		if n := m.Tokenizer.VocabSize(); int(id) >= n {
			return bad(field, "token id %d is out of range. The vocabulary has %d tokens.", id, n)
		}
	}
	return nil
}

// tokens is the most that the job can use.
func (j *job) tokens() int {
	total := 0
	for _, prompt := range j.prompts {
		most := j.maxTokens
		if most == 0 {
			most = j.model.Context - len(prompt)
		}
		total += len(prompt) + j.candidates*most
	}
	return total
}
