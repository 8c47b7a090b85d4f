package router

import (
	"testing"

	"pgregory.net/rapid"
)

// Who is blamed for the end of an engine: among those that have not proven themselves
// whoever was suspected before, then the others; all when all have.
func TestBlame(t *testing.T) {
	proven, fresh, suspect := standing{proven: true}, standing{}, standing{deaths: 1}
	for _, c := range []struct {
		name    string
		company []standing
		want    []verdict
	}{
		{"one alone", []standing{fresh}, []verdict{{blamed: true, alone: true}}},
		{"one alone, again", []standing{suspect}, []verdict{{true, true, true}}},
		{"a fresh one beside others", []standing{proven, fresh, proven}, []verdict{{}, {blamed: true, alone: true}, {}}},
		{"a suspect beside others", []standing{proven, suspect, proven}, []verdict{{}, {true, true, true}, {}}},
		{"a suspect beside a fresh one", []standing{fresh, suspect}, []verdict{{}, {true, true, true}}},
		{"two fresh ones", []standing{fresh, fresh, proven}, []verdict{{blamed: true}, {blamed: true}, {}}},
		{"two suspects", []standing{suspect, suspect}, []verdict{{blamed: true}, {blamed: true}}},
		{"all proven", []standing{proven, proven}, []verdict{{blamed: true}, {blamed: true}}},
	} {
		g := suspects{on: map[process]*company{}}
		for i := range c.company {
			g.arrive(&c.company[i], process{"i", 0})
		}
		for i := range c.company {
			was := c.company[i].deaths
			if got := g.died(&c.company[i]); got != c.want[i] {
				t.Errorf("%s: %d is judged %+v, want %+v", c.name, i, got, c.want[i])
			}
			if got := c.company[i].deaths - was; got != oneIf(c.want[i].blamed) {
				t.Errorf("%s: %d counts %d deaths more", c.name, i, got)
			}
		}
		if len(g.on) != 0 {
			t.Errorf("%s: %d companies are left", c.name, len(g.on))
		}
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Who comes to an instance after its engine ended is in another company, and who has
// left one before is not blamed.
func TestCompanies(t *testing.T) {
	g := suspects{on: map[process]*company{}}
	var a, b, gone, late standing
	for _, s := range []*standing{&a, &b, &gone} {
		g.arrive(s, process{"i", 0})
	}
	g.leave(&gone)
	if v := g.died(&a); v != (verdict{blamed: true}) {
		t.Errorf("the first: %+v", v)
	}
	g.arrive(&late, process{"i", 1})
	if v := g.died(&b); v != (verdict{blamed: true}) {
		t.Errorf("the second: %+v", v)
	}
	if v := g.died(&late); v != (verdict{blamed: true, alone: true}) {
		t.Errorf("on the next engine: %+v", v)
	}
	if v := g.died(&gone); v != (verdict{}) || gone.deaths != 0 {
		t.Errorf("one that had left: %+v", v)
	}
	g.arrive(&a, process{"i", 0})
	if v := g.died(&a); v.poison || a.deaths != 1 {
		t.Errorf("sent to the same dying process once more: %+v", v)
	}
	g.acquit(&a)
	g.arrive(&a, process{"i", 2})
	if v := g.died(&a); v.poison {
		t.Error("an acquitted sequence is poison at the next end")
	}
}

// Whatever happens, a poison verdict falls on one that was blamed twice without an
// acquittal, and nothing is left of who has gone.
func TestNobodyIsConvictedAtTheFirstEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := suspects{on: map[process]*company{}}
		all := make([]standing, 6)
		blamed := make([]int, len(all))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "who")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				if all[i].with == nil {
					g.arrive(&all[i], process{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "where"), rapid.Uint32Range(0, 3).Draw(t, "restarts")})
				}
			case 1:
				g.leave(&all[i])
			case 2:
				g.acquit(&all[i])
				blamed[i] = 0
			case 3:
				v := g.died(&all[i])
				if v.blamed {
					blamed[i]++
				}
				if all[i].deaths > blamed[i] {
					t.Fatalf("counts %d ends of %d", all[i].deaths, blamed[i])
				}
				if v.poison && (blamed[i] < sentence || !v.alone) {
					t.Fatalf("convicted at end %d: %+v", blamed[i], v)
				}
			}
		}
		for i := range all {
			g.leave(&all[i])
		}
		if len(g.on) != 0 {
			t.Fatalf("%d companies are left", len(g.on))
		}
	})
}
