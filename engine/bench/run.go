package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/sample"
)

// Run is one pass over a workload.
type Run struct {
	Seconds float64 `json:"seconds"` // from the first submission to the last token
	Input   int     `json:"input_tokens"`
	Output  int     `json:"output_tokens"`
	Rate    float64 `json:"output_tokens_per_second"` // over all of it
	// Decode is the rate while every sequence had its first token and none its last.
	Decode   float64 `json:"decode_tokens_per_second,omitempty"`
	FirstP50 float64 `json:"first_token_ms_p50"`
	FirstMax float64 `json:"first_token_ms_max"`
}

// arrival of some tokens of a sequence.
type arrival struct {
	at     time.Time
	tokens int
}

// measure submits all of a workload and reads it to its end. round makes the prompts of
// each pass others.
func measure(ctx context.Context, e *engine.Engine, w *Workload, vocab, round int) (Run, error) {
	var (
		group    sync.WaitGroup
		arrivals = make([][]arrival, len(w.Lengths))
		fails    = make([]error, len(w.Lengths))
		began    = time.Now()
	)
	for i, l := range w.Lengths {
		s, err := e.Submit(w.request(i, l, vocab, round))
		if err != nil {
			fails[i] = err
			break
		}
		group.Go(func() { arrivals[i], fails[i] = read(ctx, s) })
	}
	group.Wait()
	if err := errors.Join(fails...); err != nil {
		return Run{}, err
	}
	return w.figures(began, arrivals)
}

// request i of a pass.
func (w *Workload) request(i int, l Length, vocab, round int) *engine.Request {
	r := &engine.Request{MaxTokens: l.Out, Sampling: sample.Defaults(), Seed: uint64(round*len(w.Lengths) + i), IgnoreEOS: true, Prompt: make([]int32, l.In)}
	r.Sampling.Temperature = w.Temperature
	for t := range r.Prompt {
		r.Prompt[t] = int32((t*7919 + (i+round*len(w.Lengths))*104729) % vocab)
	}
	return r
}

// read takes a sequence to its end; what is given up is cancelled.
func read(ctx context.Context, s *engine.Sequence) (got []arrival, err error) {
	defer s.Cancel()
	for {
		event, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if t, ok := event.(engine.Tokens); ok && len(t.IDs) > 0 {
			got = append(got, arrival{time.Now(), len(t.IDs)})
		}
	}
}

// figures of a pass; a sequence that gave another number of tokens than was asked for
// makes them worthless.
func (w *Workload) figures(began time.Time, arrivals [][]arrival) (r Run, err error) {
	var firsts []float64
	var from, until, last time.Time
	for i, list := range arrivals {
		n := 0
		for _, a := range list {
			n += a.tokens
		}
		if n != w.Lengths[i].Out {
			return r, fmt.Errorf("request %d gave %d tokens, %d were asked for", i, n, w.Lengths[i].Out)
		}
		r.Input, r.Output = r.Input+w.Lengths[i].In, r.Output+n
		first, end := list[0].at, list[len(list)-1].at
		firsts = append(firsts, first.Sub(began).Seconds()*1e3)
		if first.After(from) {
			from = first
		}
		if until.IsZero() || end.Before(until) {
			until = end
		}
		if end.After(last) {
			last = end
		}
	}
	slices.Sort(firsts)
	r.FirstP50, r.FirstMax = firsts[len(firsts)/2], firsts[len(firsts)-1]
	r.Seconds = last.Sub(began).Seconds()
	r.Rate = float64(r.Output) / r.Seconds
	r.Decode = between(arrivals, from, until)
	return r, nil
}

// between is the rate of tokens after one moment up to another; 0 where that is no time.
func between(arrivals [][]arrival, from, until time.Time) float64 {
	n := 0
	for _, list := range arrivals {
		for _, a := range list {
			if a.at.After(from) && !a.at.After(until) {
				n += a.tokens
			}
		}
	}
	took := until.Sub(from).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(n) / took
}
