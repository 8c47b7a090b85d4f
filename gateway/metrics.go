package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a gateway counts. Labels are few and bounded: no keys, no
// users, and models only once they are resolved.
type metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	firstToken *prometheus.HistogramVec
	interToken *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
}

// Bounds of the histograms, in seconds.
var (
	durationBounds = []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100, 300}
	firstBounds    = []float64{.005, .01, .02, .04, .08, .15, .3, .6, 1.2, 2.5, 5, 10, 30}
	interBounds    = []float64{.002, .005, .01, .02, .03, .05, .08, .12, .2, .5, 1, 3}
)

func newMetrics(r prometheus.Registerer) *metrics {
	histogram := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nanofleet_gateway_" + name, Help: help, Buckets: bounds}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nanofleet_gateway_" + name, Help: help}, labels)
	}
	m := &metrics{
		requests:   counter("requests_total", "Requests answered, by endpoint and status.", "endpoint", "status"),
		duration:   histogram("request_seconds", "From the request's arrival to the end of its answer.", durationBounds, "endpoint"),
		firstToken: histogram("first_token_seconds", "From the request's arrival to its first token.", firstBounds, "endpoint"),
		interToken: histogram("inter_token_seconds", "Between the tokens of a sequence, those of one step shared evenly.", interBounds, "endpoint"),
		tokens:     counter("tokens_total", "Tokens by kind: prompt, cached (part of prompt), generated.", "kind"),
	}
	r.MustRegister(m.requests, m.duration, m.firstToken, m.interToken, m.tokens)
	return m
}

// done counts a finished request.
func (m *metrics) done(r *Record) {
	m.requests.WithLabelValues(r.Endpoint, strconv.Itoa(r.Status)).Inc()
	m.duration.WithLabelValues(r.Endpoint).Observe(r.Duration.Seconds())
	if r.FirstToken > 0 {
		m.firstToken.WithLabelValues(r.Endpoint).Observe(r.FirstToken.Seconds())
	}
	m.tokens.WithLabelValues("prompt").Add(float64(r.Prompt))
	m.tokens.WithLabelValues("cached").Add(float64(r.Cached))
	m.tokens.WithLabelValues("generated").Add(float64(r.Generated))
}
