package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
)

// Scorer gives the natural logarithm of the probability of ids[1:], each after those
// before it.
type Scorer interface {
	Score(ctx context.Context, ids []int32) ([]float32, error)
}

// Text is what is foretold.
type Text struct {
	IDs   []int32 // its tokens, a BOS before them where the model wants one
	Bytes int     // that IDs[1:] stand for
}

// Perplexity of a text.
type Perplexity struct {
	Perplexity  float64 `json:"perplexity"` // exp of the mean of what follows
	NLL         float64 `json:"nll"`        // negative logprobs, summed
	Tokens      int     `json:"tokens"`     // that were scored
	Bytes       int     `json:"bytes"`      // that they stand for
	BitsPerByte float64 `json:"bits_per_byte"`
	Window      int     `json:"window"` // tokens
	Windows     int     `json:"windows"`
}

// span is a window: ids[Start:End], of which those from From on are scored here.
type span struct{ start, from, end int }

// spans cut n tokens into windows that overlap by half.
func spans(n, window int) (out []span) {
	stride := max(window/2, 1)
	for start, from := 0, 1; from < n; start += stride {
		end := min(start+window, n)
		out = append(out, span{start, from, end})
		from = end
	}
	return out
}

// Measure scores a text by windows of so many tokens, some of them at once. done, when not
// nil, is told after each.
func Measure(ctx context.Context, s Scorer, t Text, window, atOnce int, done func(windows, of int)) (Perplexity, error) {
	p := Perplexity{Window: window, Bytes: t.Bytes}
	switch {
	case window < 2:
		return p, fmt.Errorf("window: %d tokens, must be at least 2", window)
	case len(t.IDs) < 2:
		return p, fmt.Errorf("text: %d tokens, must be at least 2", len(t.IDs))
	}
	all := spans(len(t.IDs), window)
	sums, err := scoreAll(ctx, s, t.IDs, all, max(atOnce, 1), done)
	if err != nil {
		return p, err
	}
	for i, span := range all {
		p.NLL += sums[i]
		p.Tokens += span.end - span.from
	}
	p.Windows = len(all)
	p.Perplexity = math.Exp(p.NLL / float64(p.Tokens))
	if p.Bytes > 0 {
		p.BitsPerByte = p.NLL / math.Ln2 / float64(p.Bytes)
	}
	return p, nil
}

// scoreAll gives the negative logprobs of each window's own tokens, summed in order, so
// that the answer does not depend on what ends first.
func scoreAll(ctx context.Context, s Scorer, ids []int32, all []span, atOnce int, done func(windows, of int)) ([]float64, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		sums  = make([]float64, len(all))
		fails = make([]error, len(all))
		room  = make(chan struct{}, atOnce)
		mu    sync.Mutex
		ended int
		group sync.WaitGroup
	)
	for i, span := range all {
		room <- struct{}{}
		group.Go(func() {
			defer func() { <-room }()
			if sums[i], fails[i] = score(ctx, s, ids, span); fails[i] != nil {
				stop()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if ended++; done != nil {
				done(ended, len(all))
			}
		})
	}
	group.Wait()
	return sums, first(fails)
}

// first failure that is not only the end that another brought.
func first(fails []error) (err error) {
	for _, e := range fails {
		if e != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = e
		}
	}
	return err
}

// score gives one window's sum.
func score(ctx context.Context, s Scorer, ids []int32, w span) (sum float64, err error) {
	logprobs, err := s.Score(ctx, ids[w.start:w.end])
	if err != nil {
		return 0, err
	}
	if len(logprobs) != w.end-w.start-1 {
		return 0, fmt.Errorf("window at token %d: %d logprobs, want %d", w.start, len(logprobs), w.end-w.start-1)
	}
	for _, l := range logprobs[w.from-w.start-1:] {
		sum -= float64(l)
	}
	return sum, nil
}
