package tokenizer

// noPair is what a pair without a merge finds; it ranks after every merge.
const noPair = ^uint64(0)

// noRank is the rank of noPair.
const noRank = ^uint32(0)

// pairTable maps a pair of ids to the merge's rank (high half) and result (low half):
// open addressing, four slots in seven of them full at most. Most pairs looked up have
// no merge, and a table of megabytes misses the cache; so a filter answers first for
// most of those.
type pairTable struct {
	slots  []pairSlot
	filter pairFilter
}

type pairSlot struct{ key, found uint64 }

func newPairTable(n int) pairTable {
	slots := make([]pairSlot, n+n*3/4+1)
	for i := range slots {
		slots[i].key = noPair
	}
	return pairTable{slots: slots, filter: newPairFilter(n)}
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// hash is multiplicative: its high bits choose slots and words.
func hash(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 }

// pairFilter is a Bloom filter of a byte for each pair, three bits in one word.
type pairFilter []uint64

func newPairFilter(n int) pairFilter { return make(pairFilter, n/8+1) }

func mark(h uint64) uint64 { return 1<<(h>>26&63) | 1<<(h>>32&63) | 1<<(h>>38&63) }

// add takes a pair by its hash.
func (f pairFilter) add(h uint64) { f[scale(h, len(f))] |= mark(h) }

// has says false for most pairs that were not added.
func (f pairFilter) has(h uint64) bool {
	m := mark(h)
	return f[scale(h, len(f))]&m == m
}

// put records a merge, of which none of the pair may be there; it says whether that
// is so.
func (p *pairTable) put(left, right int32, rank uint32, made int32) bool {
	key := pairKey(left, right)
	h := hash(key)
	p.filter.add(h)
	i := scale(h, len(p.slots))
	for p.slots[i].key != noPair {
		if p.slots[i].key == key {
			return false
		}
		if i++; i == len(p.slots) {
			i = 0
		}
	}
	p.slots[i] = pairSlot{key, uint64(rank)<<32 | uint64(uint32(made))}
	return true
}

// find is the merge of a pair, or noPair.
func (p *pairTable) find(left, right int32) uint64 {
	key := pairKey(left, right)
	h := hash(key)
	if !p.filter.has(h) {
		return noPair
	}
	for i := scale(h, len(p.slots)); ; {
		s := &p.slots[i]
		if s.key == key {
			return s.found
		}
		if s.key == noPair {
			return noPair
		}
		if i++; i == len(p.slots) {
			i = 0
		}
	}
}
