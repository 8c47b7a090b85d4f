package tokenizer

import "math/bits"

// noPair is what a pair without a merge finds; it ranks after every merge.
const noPair = ^uint64(0)

// pairTable maps a pair of ids to the merge's rank (high half) and result (low half):
// open addressing over a power of two of slots, at most half of them full.
type pairTable struct {
	slots []pairSlot
	shift uint
}

type pairSlot struct{ key, found uint64 }

func newPairTable(n int) pairTable {
	logSize := bits.Len(uint(max(n, 1))) + 1
	slots := make([]pairSlot, 1<<logSize)
	for i := range slots {
		slots[i].key = noPair
	}
	return pairTable{slots: slots, shift: uint(64 - logSize)}
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// slot is where the search for key begins: the high bits of a multiplicative hash.
func (p *pairTable) slot(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 >> p.shift }

// put records a merge; the last one of a pair stands.
func (p *pairTable) put(left, right int32, rank uint32, made int32) {
	key, mask := pairKey(left, right), uint64(len(p.slots)-1)
	i := p.slot(key)
	for p.slots[i].key != key && p.slots[i].key != noPair {
		i = (i + 1) & mask
	}
	p.slots[i] = pairSlot{key, uint64(rank)<<32 | uint64(uint32(made))}
}

// find is the merge of a pair, or noPair.
func (p *pairTable) find(left, right int32) uint64 {
	key, mask := pairKey(left, right), uint64(len(p.slots)-1)
	for i := p.slot(key); ; i = (i + 1) & mask {
		s := &p.slots[i&mask]
		if s.key == key {
			return s.found
		}
		if s.key == noPair {
			return noPair
		}
	}
}
