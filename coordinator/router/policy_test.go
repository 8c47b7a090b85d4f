package router

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func nobody(string) bool { return false }

func TestPick(t *testing.T) {
	idle := Candidate{Ready: true, MaxRunning: 4, PrefillRate: 1000, DecodeRate: 100, PagesTotal: 100}
	with := func(name string, alter func(*Candidate)) Candidate {
		c := idle
		c.Instance, c.Version = name, "v1"
		alter(&c)
		return c
	}
	for _, c := range []struct {
		name string
		list []Candidate
		need need
		want string
	}{
		{"none", nil, need{}, ""},
		{"not ready", []Candidate{with("a", func(c *Candidate) { c.Ready = false })}, need{}, ""},
		{"full", []Candidate{with("a", func(c *Candidate) { c.Running, c.Waiting = 4, 2 })}, need{}, ""},
		{"full by our own count", []Candidate{with("a", func(c *Candidate) { c.InFlight = 6 })}, need{}, ""},
		{"other version", []Candidate{with("a", func(c *Candidate) {})}, need{version: "v2"}, ""},
		{"equal: by name", []Candidate{with("b", func(c *Candidate) {}), with("a", func(c *Candidate) {})}, need{}, "a"},
		{"fewer running", []Candidate{with("a", func(c *Candidate) { c.Running = 2 }), with("b", func(c *Candidate) {})}, need{}, "b"},
		{"shorter queue", []Candidate{with("a", func(c *Candidate) { c.QueuedUncachedTokens = 500 }), with("b", func(c *Candidate) {})}, need{}, "b"},
		{"faster", []Candidate{with("a", func(c *Candidate) {}), with("b", func(c *Candidate) { c.PrefillRate = 9000 })}, need{tokens: 900}, "b"},
		{"cached prefix", []Candidate{with("a", func(c *Candidate) {}), with("b", func(c *Candidate) {})}, need{tokens: 900, cached: map[string]int{"b": 832}}, "b"},
		{"cached, but a long queue", []Candidate{with("a", func(c *Candidate) {}), with("b", func(c *Candidate) { c.QueuedUncachedTokens = 5000 })}, need{tokens: 900, cached: map[string]int{"b": 832}}, "a"},
		{"full pool", []Candidate{with("a", func(c *Candidate) { c.PagesUsed = 99 }), with("b", func(c *Candidate) { c.PagesUsed = 40 })}, need{}, "b"},
		{"must wait its turn", []Candidate{with("a", func(c *Candidate) { c.Running = 4 }), with("b", func(c *Candidate) { c.QueuedUncachedTokens = 100 })}, need{}, "b"},
		{"sent since the report", []Candidate{with("a", func(c *Candidate) { c.InFlight = 2 }), with("b", func(c *Candidate) { c.QueuedUncachedTokens = 900 })}, need{tokens: 1000}, "b"},
	} {
		if got, ok := pick(c.list, c.need, nobody); got.Instance != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.name, got.Instance, c.want)
		}
	}
}

func candidate(t *rapid.T) Candidate {
	n := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	return Candidate{
		Instance: rapid.StringMatching("[a-e]").Draw(t, "name"), Version: rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "version"),
		Ready: rapid.Bool().Draw(t, "ready"), Running: n("running", 5), Waiting: n("waiting", 3), MaxRunning: n("max", 4), InFlight: n("in flight", 8),
		QueuedUncachedTokens: n("queued", 5000), PrefillRate: float64(n("prefill", 2000)), DecodeRate: float64(n("decode", 200)),
		PagesUsed: n("used", 100), PagesTotal: n("total", 100),
	}
}

// Whatever the fleet, the choice may serve the request and none that may is cheaper;
// the order of the list does not matter.
func TestPickIsTheCheapestThatMayServe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.Custom(candidate), 0, 5, func(c Candidate) string { return c.Instance }).Draw(t, "list")
		n := need{tokens: rapid.IntRange(1, 2000).Draw(t, "tokens"), version: rapid.SampledFrom([]string{"", "v1"}).Draw(t, "version")}
		shunned := rapid.StringMatching("[a-e]").Draw(t, "shunned")
		shun := func(i string) bool { return i == shunned }
		may := func(c Candidate) bool {
			return c.Ready && !busy(c) && c.Instance != shunned && (n.version == "" || c.Version == n.version)
		}
		got, ok := pick(list, n, shun)
		if ok != slices.ContainsFunc(list, may) || ok && !may(got) {
			t.Fatalf("picked %+v, %v", got, ok)
		}
		for _, c := range list {
			if may(c) && cost(c, n) < cost(got, n) {
				t.Fatalf("picked %+v, cheaper is %+v", got, c)
			}
		}
		slices.Reverse(list)
		if again, _ := pick(list, n, shun); again.Instance != got.Instance {
			t.Fatalf("in reverse %+v, before %+v", again, got)
		}
	})
}

func TestPrefixes(t *testing.T) {
	p := newPrefixes()
	prompt := make([]int32, 3*pageTokens+5)
	whole := p.chain([]byte("salt"), prompt)
	if len(whole) != 3 || p.cached(whole) != nil {
		t.Fatalf("%d pages, cached %v", len(whole), p.cached(whole))
	}
	p.ran(whole, "a")
	p.ran(whole[:1], "b")
	if got := p.cached(whole); got["a"] != 3*pageTokens || got["b"] != pageTokens {
		t.Errorf("cached %v", got)
	}
	if got := p.cached(p.chain([]byte("other"), prompt)); got != nil {
		t.Errorf("another salt shares %v", got)
	}
	other := slices.Clone(prompt)
	other[pageTokens] = 7
	if got := p.cached(p.chain([]byte("salt"), other)); got["a"] != 0 || got["b"] != pageTokens {
		t.Errorf("another second page: %v", got)
	}
	for i := range prefixesMax {
		p.ran([]uint64{uint64(i)}, "c")
	}
	if got := p.cached(whole); got != nil || len(p.last) != prefixesMax {
		t.Errorf("after %d pages: %v, %d are kept", prefixesMax, got, len(p.last))
	}
}
