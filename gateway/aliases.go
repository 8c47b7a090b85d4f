package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nanofleet/nanofleet/wire"
)

// aliases are the metrics of requests under the names that vLLM gives them, by model:
// dashboards and gateways that know those find them here.
type aliases struct {
	success    *prometheus.CounterVec
	histograms []*prometheus.HistogramVec // by the constants below
	models     sync.Map                   // name to *modelSeries
}

// The histograms of aliases.
const (
	hFirstToken = iota
	hInterToken
	hPerToken
	hEndToEnd
	hQueue
	hPrefill
	hDecode
	hInference
	hPromptTokens
	hGeneratedTokens
	hChoices
	hMaxTokens
	histogramCount
)

var (
	secondBounds = []float64{.001, .005, .01, .02, .04, .08, .15, .3, .6, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640}
	stepBounds   = []float64{.001, .002, .005, .01, .02, .03, .05, .08, .12, .2, .5, 1, 3, 10}
	tokenBounds  = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000}
	choiceBounds = []float64{1, 2, 5, 10, 20, 50, 100}
)

var aliasHistograms = [histogramCount]struct {
	name, help string
	bounds     []float64
}{
	hFirstToken:      {"time_to_first_token_seconds", "From a request's arrival to the first token of a sequence.", secondBounds},
	hInterToken:      {"inter_token_latency_seconds", "Between the tokens of a sequence, those of one step shared evenly.", stepBounds},
	hPerToken:        {"request_time_per_output_token_seconds", "Between the tokens of a sequence, on average.", stepBounds},
	hEndToEnd:        {"e2e_request_latency_seconds", "From a request's arrival to the end of a sequence.", secondBounds},
	hQueue:           {"request_queue_time_seconds", "How long a sequence waited for an engine.", secondBounds},
	hPrefill:         {"request_prefill_time_seconds", "How long a sequence's prompt took.", secondBounds},
	hDecode:          {"request_decode_time_seconds", "How long a sequence's tokens took.", secondBounds},
	hInference:       {"request_inference_time_seconds", "Prompt and tokens of a sequence.", secondBounds},
	hPromptTokens:    {"request_prompt_tokens", "Tokens of a sequence's prompt.", tokenBounds},
	hGeneratedTokens: {"request_generation_tokens", "Tokens that a sequence gave.", tokenBounds},
	hChoices:         {"request_params_n", "The n of requests.", choiceBounds},
	hMaxTokens:       {"request_params_max_tokens", "The max_tokens of requests that have one.", tokenBounds},
}

func newAliases(r prometheus.Registerer) *aliases {
	if r == nil {
		return nil
	}
	labels := []string{"model_name"}
	a := &aliases{success: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vllm:request_success_total", Help: "Sequences ended, by the reason.",
	}, []string{"model_name", "finished_reason"})}
	r.MustRegister(a.success)
	for _, h := range aliasHistograms {
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "vllm:" + h.name, Help: h.help, Buckets: h.bounds}, labels)
		r.MustRegister(vec)
		a.histograms = append(a.histograms, vec)
	}
	return a
}

// modelSeries are the aliases of one model, looked up once. Nil counts nothing.
type modelSeries struct {
	stop, length, abort, fail prometheus.Counter
	histograms                [histogramCount]prometheus.Observer
}

// model finds the series of a model that exists.
func (a *aliases) model(name string) *modelSeries {
	if m, ok := a.models.Load(name); ok {
		return m.(*modelSeries)
	}
	reason := func(r string) prometheus.Counter { return a.success.WithLabelValues(name, r) }
	m := &modelSeries{stop: reason("stop"), length: reason("length"), abort: reason("abort"), fail: reason("error")}
	for i, vec := range a.histograms {
		m.histograms[i] = vec.WithLabelValues(name)
	}
	kept, _ := a.models.LoadOrStore(name, m)
	return kept.(*modelSeries)
}

// asked counts a request's parameters.
func (m *modelSeries) asked(j *job) {
	m.histograms[hChoices].Observe(float64(j.choices))
	if j.maxTokens > 0 {
		m.histograms[hMaxTokens].Observe(float64(j.maxTokens))
	}
}

func (m *modelSeries) firstToken(d time.Duration) {
	if m != nil {
		m.histograms[hFirstToken].Observe(d.Seconds())
	}
}

func (m *modelSeries) nextToken(seconds float64) {
	if m != nil {
		m.histograms[hInterToken].Observe(seconds)
	}
}

// finished counts a sequence that ended well.
func (m *modelSeries) finished(c *clock, f *wire.Finished, queue time.Duration) {
	if m == nil {
		return
	}
	switch f.GetReason() {
	case wire.FinishReason_FINISH_REASON_STOP:
		m.stop.Inc()
	case wire.FinishReason_FINISH_REASON_LENGTH:
		m.length.Inc()
	default:
		m.abort.Inc()
		return
	}
	prefill, decode := float64(f.GetPrefillUs())/1e6, float64(f.GetDecodeUs())/1e6
	m.histograms[hEndToEnd].Observe(time.Since(c.x.started).Seconds())
	m.histograms[hQueue].Observe(queue.Seconds())
	m.histograms[hPrefill].Observe(prefill)
	m.histograms[hDecode].Observe(decode)
	m.histograms[hInference].Observe(prefill + decode)
	m.histograms[hPromptTokens].Observe(float64(f.GetPromptTokens()))
	m.histograms[hGeneratedTokens].Observe(float64(f.GetGeneratedTokens()))
	if n := f.GetGeneratedTokens(); n > 1 {
		m.histograms[hPerToken].Observe(c.last.Sub(c.first).Seconds() / float64(n-1))
	}
}

// failed counts a sequence that did not end well: given up by the client, or broken.
func (m *modelSeries) failed(err error) {
	switch {
	case m == nil:
	case errors.Is(err, context.Canceled):
		m.abort.Inc()
	default:
		m.fail.Inc()
	}
}
