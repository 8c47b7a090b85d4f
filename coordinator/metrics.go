package coordinator

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/nanofleet/nanofleet/coordinator/router"
	"github.com/nanofleet/nanofleet/wire"
)

// registerMetrics exposes the process and the fleet as last reported.
func (c *Coordinator) registerMetrics() {
	c.metrics.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&fleetCollector{c},
	)
	c.aliases.MustRegister(&aliasCollector{c})
}

// resumedCounter tells how often clients saw a pause in place of an error.
func resumedCounter(r *router.Router) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "nanofleet_requests_resumed_total",
		Help: "Requests that another engine carried on after theirs had broken.",
	}, func() float64 { return float64(r.Resumed()) })
}

// poisonedCounter tells how often requests were given up because they ended engines.
func poisonedCounter(r *router.Router) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "nanofleet_requests_poisoned_total",
		Help: "Requests given up or refused because they had ended their engines.",
	}, func() float64 { return float64(r.Poisoned()) })
}

// fleetCollector turns the last reports into metrics when it is scraped.
type fleetCollector struct{ c *Coordinator }

var instanceLabels = []string{"deployment", "model", "instance", "node"}

func instanceDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("nanofleet_instance_"+name, help, instanceLabels, nil)
}

var (
	descNodes      = prometheus.NewDesc("nanofleet_nodes_connected", "Agents with a session to this coordinator.", nil, nil)
	descIndex      = prometheus.NewDesc("nanofleet_raft_applied_index", "Last log index applied here.", nil, nil)
	descReady      = instanceDesc("ready", "1 when the instance can serve.")
	descRunning    = instanceDesc("requests_running", "Sequences being computed.")
	descWaiting    = instanceDesc("requests_waiting", "Requests that wait in the engine.")
	descPages      = instanceDesc("kv_pages_used", "KV pages held by running sequences.")
	descPagesTotal = instanceDesc("kv_pages", "KV pages of the pool.")
	descPrompt     = instanceDesc("prompt_tokens_total", "Prompt tokens taken in since load.")
	descCached     = instanceDesc("cached_tokens_total", "Prompt tokens found in the prefix cache since load.")
	descGenerated  = instanceDesc("generated_tokens_total", "Tokens generated since load.")
	descRestarts   = instanceDesc("restarts_total", "Times the engine process was started again.")
)

// Describe lists the metrics.
func (f *fleetCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descNodes, descIndex, descReady, descRunning, descWaiting, descPages,
		descPagesTotal, descPrompt, descCached, descGenerated, descRestarts} {
		ch <- d
	}
}

// Collect reads the table.
func (f *fleetCollector) Collect(ch chan<- prometheus.Metric) {
	snap, table := f.c.replica.Snapshot(), f.c.agents.Table()
	connected := 0
	for _, n := range snap.Nodes() {
		if up, _, _ := table.Node(n.ID); up {
			connected++
		}
	}
	ch <- prometheus.MustNewConstMetric(descNodes, prometheus.GaugeValue, float64(connected))
	ch <- prometheus.MustNewConstMetric(descIndex, prometheus.GaugeValue, float64(snap.Index()))
	for _, i := range snap.Instances() {
		st, live := table.Instance(i.Node, i.ID)
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, i.Deployment, i.Model, i.ID, i.Node)
		}
		send(descReady, prometheus.GaugeValue, float64(oneIf(live && serving(st))))
		collectInstance(st, send)
	}
}

func collectInstance(st *wire.InstanceStatus, send func(*prometheus.Desc, prometheus.ValueType, float64)) {
	s := st.GetStats()
	send(descRunning, prometheus.GaugeValue, float64(s.GetRunning()))
	send(descWaiting, prometheus.GaugeValue, float64(s.GetWaiting()))
	send(descPages, prometheus.GaugeValue, float64(s.GetPagesUsed()))
	send(descPagesTotal, prometheus.GaugeValue, float64(s.GetPagesTotal()))
	send(descPrompt, prometheus.CounterValue, float64(s.GetPromptTokens()))
	send(descCached, prometheus.CounterValue, float64(s.GetCachedTokens()))
	send(descGenerated, prometheus.CounterValue, float64(s.GetGeneratedTokens()))
	send(descRestarts, prometheus.CounterValue, float64(st.GetRestarts()))
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
