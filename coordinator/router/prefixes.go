package router

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// Figures of the prefix memory: a page is the unit engines cache by.
const (
	pageTokens  = 64
	prefixesMax = 1 << 16 // pages remembered, about 3 MB
)

// prefixes remembers which instance last computed which beginning of a prompt. It is a
// guess: engines evict without telling. Prompts of different salts share nothing.
type prefixes struct {
	seed maphash.Seed

	mu   sync.Mutex
	last map[uint64]string // by the hash of all pages up to one
	ring []uint64          // the hashes in order of arrival
	at   int
}

func newPrefixes() *prefixes {
	return &prefixes{seed: maphash.MakeSeed(), last: map[uint64]string{}, ring: make([]uint64, 0, prefixesMax)}
}

// chain hashes a prompt's full pages, each with all before it.
func (p *prefixes) chain(salt []byte, prompt []int32) []uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	_, _ = h.Write(salt) // a hash takes everything
	sums := make([]uint64, 0, len(prompt)/pageTokens)
	var b [4]byte
	for i, id := range prompt {
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		_, _ = h.Write(b[:])
		if (i+1)%pageTokens == 0 {
			sums = append(sums, h.Sum64())
		}
	}
	return sums
}

// cached counts the prompt tokens each instance is thought to have.
func (p *prefixes) cached(chain []uint64) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var by map[string]int
	for i, sum := range chain {
		instance, ok := p.last[sum]
		if !ok {
			break
		}
		if by == nil {
			by = map[string]int{}
		}
		by[instance] = (i + 1) * pageTokens
	}
	return by
}

// ran remembers where a prompt was computed, forgetting the oldest page for each new one.
func (p *prefixes) ran(chain []uint64, instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sum := range chain {
		if _, known := p.last[sum]; !known {
			p.keep(sum)
		}
		p.last[sum] = instance
	}
}

func (p *prefixes) keep(sum uint64) {
	if len(p.ring) < prefixesMax {
		p.ring = append(p.ring, sum)
		return
	}
	delete(p.last, p.ring[p.at])
	p.ring[p.at] = sum
	p.at = (p.at + 1) % prefixesMax
}
