// Package bench drives any OpenAI-compatible endpoint with a synthetic load and
// reports what its users would feel: time to first token, inter-token latency and
// tokens per second, as percentiles. A Load is reproducible from its seed; the load
// is open (Poisson arrivals at a rate) or closed (a fixed concurrency).
package bench
