package kv

import (
	"testing"

	"pgregory.net/rapid"
)

func tokens(from int32, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = from + int32(i)
	}
	return out
}

func TestHashesTellPrefixesApart(t *testing.T) {
	a := Root([]byte("a")).Next(tokens(0, 64))
	for name, other := range map[string]Hash{
		"another salt":   Root([]byte("b")).Next(tokens(0, 64)),
		"another token":  Root([]byte("a")).Next(tokens(1, 64)),
		"another parent": a.Next(tokens(0, 64)),
	} {
		if other == a {
			t.Errorf("%s has the same hash", name)
		}
	}
	if a != Root([]byte("a")).Next(tokens(0, 64)) {
		t.Error("the same prefix has another hash")
	}
}

// TestLeastRecentlyReleasedGoesFirst takes cached pages in the order of their release,
// the end of a prefix before its beginning.
func TestLeastRecentlyReleasedGoesFirst(t *testing.T) {
	p := NewPool(3)
	chain := []Hash{Root([]byte{1}), Root([]byte{2}), Root([]byte{3})}
	var ids []uint32
	for _, h := range chain {
		id, _ := p.Take()
		p.Publish(id, h)
		ids = append(ids, id)
	}
	if _, ok := p.Take(); ok {
		t.Fatal("a page was lent that is held")
	}
	p.ReleaseAll(ids)
	if id, ok := p.Take(); !ok || id != ids[2] {
		t.Errorf("took page %d, want the prefix's last, %d", id, ids[2])
	}
	if found := p.Find(chain); len(found) != 2 || found[0] != ids[0] || found[1] != ids[1] {
		t.Errorf("found %v, want %v", found, ids[:2])
	}
	if found := p.Find(chain[1:2]); len(found) != 1 {
		t.Error("a held page is not found")
	}
}

func TestPublishKeepsTheFirst(t *testing.T) {
	p := NewPool(2)
	a, _ := p.Take()
	b, _ := p.Take()
	h := Root(nil)
	p.Publish(a, h)
	p.Publish(b, h)
	p.Release(b)
	if p.Cached() != 0 || p.Available() != 1 {
		t.Errorf("the second page is kept too: %d cached, %d available", p.Cached(), p.Available())
	}
	if found := p.Find([]Hash{h}); len(found) != 1 || found[0] != a {
		t.Errorf("found %v, want page %d", found, a)
	}
}

// TestPoolHolds does random things to a pool and checks every invariant after each.
func TestPoolHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewPool(rapid.IntRange(1, 12).Draw(t, "pages"))
		var held []uint32
		holders := map[uint32]int{}
		hold := func(ids ...uint32) {
			for _, id := range ids {
				held = append(held, id)
				holders[id]++
			}
		}
		hash := func() Hash { return Root([]byte{byte(rapid.IntRange(0, 15).Draw(t, "hash"))}) }
		t.Repeat(map[string]func(*rapid.T){
			"take": func(*rapid.T) {
				had := p.Available()
				id, ok := p.Take()
				if ok != (had > 0) || ok && holders[id] > 0 {
					t.Fatalf("take gave %d, %v with %d available, %d holders", id, ok, had, holders[id])
				}
				if ok {
					hold(id)
				}
			},
			"find": func(*rapid.T) { hold(p.Find([]Hash{hash(), hash()})...) },
			"publish": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip()
				}
				p.Publish(rapid.SampledFrom(held).Draw(t, "page"), hash())
			},
			"release": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				p.Release(held[i])
				holders[held[i]]--
				held = append(held[:i], held[i+1:]...)
			},
			"": func(t *rapid.T) {
				for _, err := range p.Check(holders) {
					t.Error(err)
				}
				if p.Used()+p.Available() != p.Len() {
					t.Errorf("%d used and %d available of %d", p.Used(), p.Available(), p.Len())
				}
			},
		})
	})
}

// TestCheckNamesWhatIsBroken breaks a pool on purpose, in every way that Check knows.
func TestCheckNamesWhatIsBroken(t *testing.T) {
	for name, harm := range map[string]func(*Pool){
		"a free page twice":         func(p *Pool) { p.free = append(p.free, p.free[0]) },
		"a held page free":          func(p *Pool) { p.pages[p.free[0]].holders = 1 },
		"a lost page":               func(p *Pool) { p.free = p.free[1:] },
		"a wrong count":             func(p *Pool) { p.cached++ },
		"a broken list":             func(p *Pool) { p.pages[p.oldest].older = p.free[0] },
		"a page under no hash":      func(p *Pool) { p.index = map[Hash]uint32{} },
		"a page under a wrong hash": func(p *Pool) { p.index[Root([]byte("x"))] = p.free[0] },
	} {
		p := NewPool(4)
		id, _ := p.Take()
		p.Publish(id, Root(nil))
		p.Release(id)
		if broken := p.Check(nil); len(broken) != 0 {
			t.Fatalf("a sound pool: %v", broken)
		}
		harm(p)
		if len(p.Check(nil)) == 0 {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}
