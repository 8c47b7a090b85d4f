package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/nanofleet/nanofleet/internal/words"
)

// Quantiles of one measure.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// Report of one run. Latencies are milliseconds.
type Report struct {
	Model            string    `json:"model"`
	Requests         int       `json:"requests"`
	Failed           int       `json:"failed"`
	FirstError       string    `json:"first_error,omitempty"`
	Concurrency      int       `json:"concurrency"`
	Seconds          float64   `json:"seconds"`
	PromptTokens     int       `json:"prompt_tokens"`
	CachedTokens     int       `json:"cached_tokens"`
	GeneratedTokens  int       `json:"generated_tokens"`
	RequestsPerS     float64   `json:"requests_per_second"`
	TokensPerS       float64   `json:"generated_tokens_per_second"`
	TTFT             Quantiles `json:"ttft_ms"`
	InterToken       Quantiles `json:"inter_token_ms"`
	StreamTokensPerS Quantiles `json:"stream_tokens_per_second"`
	EndToEnd         Quantiles `json:"end_to_end_ms"`
}

func summarise(l Load, samples []sample, took time.Duration) Report {
	r := Report{Model: l.Model, Requests: l.Requests, Concurrency: l.Concurrency, Seconds: took.Seconds()}
	var ttft, gaps, rates, whole []float64
	for _, s := range samples {
		if s.err != nil {
			r.Failed++
			if r.FirstError == "" {
				r.FirstError = s.err.Error()
			}
			continue
		}
		r.PromptTokens += s.prompt
		r.CachedTokens += s.cached
		r.GeneratedTokens += s.generated
		whole = append(whole, ms(s.done.Sub(s.sent)))
		if s.first.IsZero() {
			continue
		}
		ttft = append(ttft, ms(s.first.Sub(s.sent)))
		for _, g := range s.gaps {
			gaps = append(gaps, ms(g))
		}
		if d := s.done.Sub(s.first).Seconds(); d > 0 && s.generated > 1 {
			rates = append(rates, float64(s.generated-1)/d)
		}
	}
	r.RequestsPerS = float64(r.Requests-r.Failed) / r.Seconds
	r.TokensPerS = float64(r.GeneratedTokens) / r.Seconds
	r.TTFT, r.InterToken = quantiles(ttft), quantiles(gaps)
	r.StreamTokensPerS, r.EndToEnd = quantiles(rates), quantiles(whole)
	return r
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantiles by nearest rank; zero without values.
func quantiles(v []float64) Quantiles {
	if len(v) == 0 {
		return Quantiles{}
	}
	slices.Sort(v)
	at := func(q float64) float64 { return v[int(math.Ceil(q*float64(len(v))))-1] }
	return Quantiles{P50: at(0.50), P90: at(0.90), P99: at(0.99)}
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s to %s, %d at once, %.1f s: %d failed\n", words.Count(r.Requests, "request"), r.Model, r.Concurrency, r.Seconds, r.Failed)
	if r.FirstError != "" {
		fmt.Fprintf(w, "first error: %s\n", r.FirstError)
	}
	fmt.Fprintf(w, "%s (%d from the prefix cache), %d generated: %.1f tok/s, %.2f requests/s\n\n",
		words.Count(r.PromptTokens, "prompt token"), r.CachedTokens, r.GeneratedTokens, r.TokensPerS, r.RequestsPerS)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tp50\tp90\tp99\t")
	for _, row := range []struct {
		name string
		q    Quantiles
	}{
		{"time to first token (ms)", r.TTFT},
		{"inter-token latency (ms)", r.InterToken},
		{"tok/s of one stream", r.StreamTokensPerS},
		{"end to end (ms)", r.EndToEnd},
	} {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t\n", row.name, row.q.P50, row.q.P90, row.q.P99)
	}
	return t.Flush()
}
