package tokenizer

// noPair is what a pair without a merge finds; it ranks after every merge.
const noPair = ^uint64(0)

// noRank is the rank of noPair.
const noRank = ^uint32(0)

// pairTable maps a pair of ids to the merge's rank (high half) and result (low half):
// open addressing, four slots in seven of them full at most.
type pairTable struct {
	slots []pairSlot
}

type pairSlot struct{ key, found uint64 }

func newPairTable(n int) pairTable {
	slots := make([]pairSlot, n+n*3/4+1)
	for i := range slots {
		slots[i].key = noPair
	}
	return pairTable{slots: slots}
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// slot is where the search for key begins, by a multiplicative hash.
func (p *pairTable) slot(key uint64) int { return scale(key*0x9E3779B97F4A7C15, len(p.slots)) }

// put records a merge, of which none of the pair may be there; it says whether that
// is so.
func (p *pairTable) put(left, right int32, rank uint32, made int32) bool {
	key := pairKey(left, right)
	i := p.slot(key)
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
	for i := p.slot(key); ; {
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
