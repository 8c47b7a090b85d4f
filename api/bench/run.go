package bench

import (
	"context"
	"sync"
	"time"

	"github.com/nanofleet/nanofleet/api"
)

// sample is what one request felt like.
type sample struct {
	sent, first, done time.Time
	gaps              []time.Duration
	prompt, cached    int
	generated         int
	err               error
}

// Run sends the load and reports. progress, when not nil, is called after each
// request. A request that fails counts in Report.Failed; Run itself fails only for
// a bad load or when ctx ends.
func Run(ctx context.Context, c *api.Client, l Load, progress func(done int)) (Report, error) {
	if err := l.Validate(); err != nil {
		return Report{}, err
	}
	samples := make([]sample, l.Requests)
	slots := make(chan struct{}, l.Concurrency)
	var wg sync.WaitGroup
	var mu sync.Mutex
	finished := 0
	began := time.Now()
	prompts, arrivals := l.prompts(), l.arrivals()
	for i := range samples {
		if err := sleepUntil(ctx, began.Add(arrivals[i])); err != nil {
			break
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			samples[i] = one(ctx, c, l, prompts[i], int64(i))
			<-slots
			if progress != nil {
				mu.Lock()
				finished++
				progress(finished)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	return summarise(l, samples, time.Since(began)), nil
}

func sleepUntil(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// one sends one request and times its events.
func one(ctx context.Context, c *api.Client, l Load, prompt string, n int64) sample {
	seed := int64(l.Seed) + n
	req := api.ChatRequest{
		Model:       l.Model,
		Messages:    []api.ChatMessage{{Role: "user", Content: prompt}},
		MaxTokens:   l.OutputTokens,
		Temperature: &l.Temperature,
		Seed:        &seed,
		IgnoreEOS:   true,
	}
	s := sample{sent: time.Now()}
	var last time.Time
	s.err = c.ChatStream(ctx, req, func(d api.ChatDelta) error {
		now := time.Now()
		if d.Content != "" {
			if s.first.IsZero() {
				s.first = now
			} else {
				s.gaps = append(s.gaps, now.Sub(last))
			}
			last = now
		}
		if d.Usage != nil {
			s.prompt, s.generated = d.Usage.PromptTokens, d.Usage.CompletionTokens
			s.cached = d.Usage.Details.Cached
		}
		return nil
	})
	s.done = time.Now()
	return s
}
