package coordinator

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/wire"
)

// aliasCollector shows what instances report under the names that vLLM gives it: by
// the name that apps use for the model, with the instance in the place of the engine.
type aliasCollector struct{ c *Coordinator }

func aliasDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("vllm:"+name, help, append([]string{"model_name", "engine"}, more...), nil)
}

// aliasDescs are those with a value of the engine's own statistics.
var aliasDescs = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*wire.EngineStats) float64
}{
	{aliasDesc("num_requests_running", "Sequences being computed."), prometheus.GaugeValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetRunning()) }},
	{aliasDesc("num_requests_waiting", "Requests that wait in the engine."), prometheus.GaugeValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetWaiting()) }},
	{aliasDesc("kv_cache_usage_perc", "Part of the KV pages held by running sequences: 1 is all."), prometheus.GaugeValue, pagesShare},
	{aliasDesc("prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache."), prometheus.CounterValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetPromptTokens()) }},
	{aliasDesc("prefix_cache_hits_total", "Prompt tokens found in the prefix cache."), prometheus.CounterValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetCachedTokens()) }},
	{aliasDesc("num_preemptions_total", "Times a running sequence gave way to another."), prometheus.CounterValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetPreemptions()) }},
	{aliasDesc("prompt_tokens_total", "Prompt tokens taken in."), prometheus.CounterValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetPromptTokens()) }},
	{aliasDesc("prompt_tokens_cached_total", "Of those, found in the prefix cache."), prometheus.CounterValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetCachedTokens()) }},
	{aliasDesc("generation_tokens_total", "Tokens generated."), prometheus.CounterValue,
		func(s *wire.EngineStats) float64 { return float64(s.GetGeneratedTokens()) }},
}

var descCacheConfig = aliasDesc("cache_config_info", "The KV pool: tokens in a block, and blocks.", "block_size", "num_gpu_blocks")

// pagesShare is how full the KV pool is; an engine without one is empty.
func pagesShare(s *wire.EngineStats) float64 {
	return float64(s.GetPagesUsed()) / max(float64(s.GetPagesTotal()), 1)
}

// Describe lists the metrics.
func (a *aliasCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range aliasDescs {
		ch <- d.desc
	}
	ch <- descCacheConfig
}

// Collect reads the table.
func (a *aliasCollector) Collect(ch chan<- prometheus.Metric) {
	snap, table := a.c.replica.Snapshot(), a.c.agents.Table()
	for _, i := range snap.Instances() {
		st, live := table.Instance(i.Node, i.ID)
		if !live || !serving(st) {
			continue
		}
		for _, name := range routesTo(snap, i) {
			for _, d := range aliasDescs {
				ch <- prometheus.MustNewConstMetric(d.desc, d.kind, d.value(st.GetStats()), name, i.ID)
			}
			ch <- prometheus.MustNewConstMetric(descCacheConfig, prometheus.GaugeValue, 1, name, i.ID,
				strconv.Itoa(abi.PageLen), strconv.FormatUint(uint64(st.GetReady().GetPages()), 10))
		}
	}
}

// routesTo are the names under which apps reach an instance.
func routesTo(snap *state.Snapshot, i state.Instance) (names []string) {
	for _, r := range snap.Routes(i.Project) {
		if slices.ContainsFunc(r.Targets, func(t state.Target) bool { return t.Deployment == i.Deployment }) {
			names = append(names, r.Name)
		}
	}
	return names
}

// aliasHandler serves all metrics, those under vLLM's names too. They have a path of
// their own because colons in names, and counters twice, are what linters complain of.
func (c *Coordinator) aliasHandler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{c.metrics, c.aliases}, promhttp.HandlerOpts{})
}
