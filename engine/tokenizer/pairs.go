package tokenizer

// noPair is what a pair without a merge finds; it ranks after every merge.
const noPair = ^uint64(0)

// noRank is the rank of noPair.
const noRank = ^uint32(0)

// pairTable maps a pair of ids to the merge's rank (high half) and result (low half):
// open addressing, four slots in seven of them full at most. Most pairs looked up have
// no merge, and a table of megabytes misses the cache; so a Bloom filter of a byte for
// each merge, three bits in one word, answers first for most of those.
type pairTable struct {
	slots  []pairSlot
	filter []uint64
}

type pairSlot struct{ key, found uint64 }

func newPairTable(n int) pairTable {
	slots := make([]pairSlot, n+n*3/4+1)
	for i := range slots {
		slots[i].key = noPair
	}
	return pairTable{slots: slots, filter: make([]uint64, n/8+1)}
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// hash is multiplicative: its high bits choose slots and words.
func hash(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 }

// mark is the bits that stand for a hash in its word of the filter.
func mark(h uint64) uint64 { return 1<<(h>>26&63) | 1<<(h>>32&63) | 1<<(h>>38&63) }

// put records a merge, of which none of the pair may be there; it says whether that
// is so.
func (p *pairTable) put(left, right int32, rank uint32, made int32) bool {
	key := pairKey(left, right)
	h := hash(key)
	p.filter[scale(h, len(p.filter))] |= mark(h)
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
	if m := mark(h); p.filter[scale(h, len(p.filter))]&m != m {
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
