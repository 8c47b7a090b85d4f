package router

// Figures that stand in until an instance has been measured, and weights of the cost.
const (
	assumedPrefillRate = 1000.0 // tokens per second
	assumedDecodeRate  = 50.0
	pressureSeconds    = 2.0 // what a full KV pool costs
	turnTokens         = 32  // what a waiting sequence is taken to decode before its neighbour's turn
	overcommit         = 2   // requests beyond max_running that an instance may hold
)

// need is what the choice has to know of a request.
type need struct {
	tokens  int            // of its prompt
	version string         // it must run on; "" = any
	cached  map[string]int // prompt tokens an instance is thought to have cached
}

// load is how many requests an instance has, by its own word or by ours: its report is
// older than what we sent since.
func load(c Candidate) int { return max(c.Running+c.Waiting, c.InFlight) }

// busy tells whether an instance has all it should hold.
func busy(c Candidate) bool { return c.MaxRunning > 0 && load(c) >= c.MaxRunning+overcommit }

// cost is the seconds until the first token, as far as can be told, with a penalty for
// a full KV pool: prompt tokens ahead and our own uncached ones at the measured rate,
// and a turn of decoding for each request beyond those that run at once.
func cost(c Candidate, n need) float64 {
	unreported := max(0, c.InFlight-c.Running-c.Waiting) * n.tokens
	own := max(1, n.tokens-n.cached[c.Instance])
	prefill := float64(c.QueuedUncachedTokens+unreported+own) / rateOr(c.PrefillRate, assumedPrefillRate)
	ahead := 0
	if c.MaxRunning > 0 {
		ahead = max(0, load(c)+1-c.MaxRunning)
	}
	decode := float64(ahead*turnTokens) / rateOr(c.DecodeRate, assumedDecodeRate)
	return prefill + decode + pressureSeconds*pressure(c)
}

func rateOr(measured, assumed float64) float64 {
	if measured > 0 {
		return measured
	}
	return assumed
}

// pressure rises from 0 to 1, and steeply near the end: half a pool used is no reason
// to go elsewhere.
func pressure(c Candidate) float64 {
	if c.PagesTotal <= 0 {
		return 0
	}
	used := float64(c.PagesUsed) / float64(c.PagesTotal)
	return used * used * used * used
}

// pick gives the cheapest candidate that is ready, has room and is not shunned. Of
// equals the one with less to do is taken, then the first by name.
func pick(list []Candidate, n need, shunned func(instance string) bool) (best Candidate, ok bool) {
	for _, c := range list {
		if !c.Ready || busy(c) || n.version != "" && c.Version != n.version || shunned(c.Instance) {
			continue
		}
		if !ok || better(c, best, n) {
			best, ok = c, true
		}
	}
	return best, ok
}

func better(a, b Candidate, n need) bool {
	if x, y := cost(a, n), cost(b, n); x != y {
		return x < y
	}
	if load(a) != load(b) {
		return load(a) < load(b)
	}
	return a.Instance < b.Instance
}
