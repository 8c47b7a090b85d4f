package gateway

import "context"

// lead is the candidate that gets the logprobs of a prompt that several share. The
// others begin once it has them: then they are there when their first text comes, and
// the prompt itself is in the engine's cache.
type lead struct {
	lacks int
	done  chan struct{} // closed once nothing lacks
}

// leads are those of each prompt; nil where no logprobs are shared.
func (j *job) leads() []*lead {
	if j.askTop == nil || j.candidates == 1 {
		return nil
	}
	list := make([]*lead, len(j.prompts))
	for i, prompt := range j.prompts {
		list[i] = &lead{lacks: len(prompt) - 1, done: make(chan struct{})}
		list[i].told(0)
	}
	return list
}

// told counts logprobs that came. Only the lead's reader calls it; nil counts nothing.
func (l *lead) told(n int) {
	if l == nil {
		return
	}
	if l.lacks -= n; l.lacks <= 0 {
		select {
		case <-l.done:
		default:
			close(l.done)
		}
	}
}

// follow waits for a sequence's lead; of a lead itself it gives what to tell.
func (f *flow) follow(ctx context.Context, i int) (*lead, error) {
	if f.leads == nil {
		return nil, nil
	}
	l := f.leads[i/f.job.candidates]
	if i == f.job.lead(i) {
		return l, nil
	}
	select {
	case <-l.done:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
