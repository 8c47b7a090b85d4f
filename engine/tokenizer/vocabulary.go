package tokenizer

import (
	"hash/maphash"
	"math/bits"
)

// vocabulary is the names of a file's tokens, as they are written there, with their
// ids: one arena and a hash table of four bytes a slot.
type vocabulary struct {
	arena []byte
	start []uint32 // entry i is arena[start[i]:start[i+1]]
	ids   []int32  // by entry
	index hashIndex
}

// newVocabulary has room for a number of names that together have so many bytes.
func newVocabulary(names, bytes int) *vocabulary {
	v := &vocabulary{
		arena: make([]byte, 0, bytes),
		start: make([]uint32, 1, names+1),
		ids:   make([]int32, 0, names),
		index: newHashIndex(names),
	}
	return v
}

func (v *vocabulary) name(entry int) []byte { return v.arena[v.start[entry]:v.start[entry+1]] }

func (v *vocabulary) len() int { return len(v.ids) }

// add says false where the name is there already.
func (v *vocabulary) add(name []byte, id int32) bool {
	slot, found := probe(&v.index, maphash.Bytes(v.index.seed, name), name, v.name)
	if found >= 0 {
		return false
	}
	v.index.slots[slot] = int32(len(v.ids)) + 1
	v.arena = append(v.arena, name...)
	v.start = append(v.start, uint32(len(v.arena)))
	v.ids = append(v.ids, id)
	return true
}

// find is the id of a name, None for an unknown one.
func (v *vocabulary) find(name []byte) int32 {
	_, entry := probe(&v.index, maphash.Bytes(v.index.seed, name), name, v.name)
	return v.idOf(entry)
}

// findString is find for a string.
func (v *vocabulary) findString(name string) int32 {
	_, entry := probe(&v.index, maphash.String(v.index.seed, name), name, v.name)
	return v.idOf(entry)
}

func (v *vocabulary) idOf(entry int) int32 {
	if entry < 0 {
		return None
	}
	return v.ids[entry]
}

// hashIndex finds the number of a byte string: open addressing in which half the
// slots stay empty; the strings themselves lie elsewhere.
type hashIndex struct {
	slots []int32 // number plus one
	seed  maphash.Seed
}

func newHashIndex(n int) hashIndex {
	return hashIndex{slots: make([]int32, 2*n+1), seed: maphash.MakeSeed()}
}

// probe is the slot of key, and the number in it or -1; of is a number's string.
func probe[K string | []byte](h *hashIndex, hash uint64, key K, of func(int) []byte) (slot, number int) {
	slot = scale(hash, len(h.slots))
	for {
		number = int(h.slots[slot]) - 1
		if number < 0 || string(of(number)) == string(key) {
			return slot, number
		}
		if slot++; slot == len(h.slots) {
			slot = 0
		}
	}
}

// scale maps a hash to 0 to n-1, by its high bits.
func scale(hash uint64, n int) int {
	high, _ := bits.Mul64(hash, uint64(n))
	return int(high)
}
