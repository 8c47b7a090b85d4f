package sched

import (
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/kv"
)

// Sequence is one request as the scheduler sees it. Priority, Tokens, Most, Root, Score
// and Pool are set by its owner before Add; the rest is the scheduler's.
type Sequence struct {
	Priority int32   // lower first
	Tokens   []int32 // known so far: the prompt, then what was sampled
	Most     int     // tokens it may ever have, prompt included
	Root     kv.Hash // its prefixes' first hash
	// Score tokens at the beginning are scored: rows report how likely each made the
	// next one. Its owner clears it once it has them all; until then every token is
	// computed and no prefix looked up.
	Score int
	// Pool makes rows report vectors and sample nothing: abi.RowPool the last token's,
	// with abi.RowPoolSum every row its sum, for which no prefix is looked up.
	Pool abi.RowFlag

	Slot   uint32 // while running
	Cached int    // positions found in the prefix cache when it was first admitted

	arrival   uint64
	state     state
	admitted  bool      // at least once
	first     int       // tokens when it was first admitted
	pages     []uint32  // held, in order
	chain     []kv.Hash // of the full pages of Tokens, as far as computed
	submitted int       // positions given to the backend since it got its slot
	published int       // pages made findable since then
	unknown   int       // tokens sampled by steps that are not complete
	epoch     uint64    // rises when it loses its slot: rows of older steps are not its own
}

type state uint8

const (
	idle    state = iota // not added, or removed
	waiting              // in the queue
	running              // has a slot
)

// Running tells whether the sequence has a slot.
func (s *Sequence) Running() bool { return s.state == running }

// length counts the tokens that are not known yet too.
func (s *Sequence) length() int { return len(s.Tokens) + s.unknown }

// pending is how many tokens the backend has still to compute.
func (s *Sequence) pending() int { return s.length() - s.submitted }

// decodes tells whether one token brings it up to date and another may follow.
func (s *Sequence) decodes() bool { return s.pending() == 1 && s.length() < s.Most }

// whole tells whether every token is to be computed, and nothing found.
func (s *Sequence) whole() bool { return s.Score > 0 || s.Pool&abi.RowPoolSum != 0 }

// owes is how many pages its known tokens and the next one will still take.
func (s *Sequence) owes() int { return max(0, pagesFor(s.length()+1)-len(s.pages)) }

// hash gives the hash of the prefix that ends with full page n.
func (s *Sequence) hash(n int) kv.Hash {
	for len(s.chain) <= n {
		i := len(s.chain)
		last := s.Root
		if i > 0 {
			last = s.chain[i-1]
		}
		s.chain = append(s.chain, last.Next(s.Tokens[i*abi.PageLen:(i+1)*abi.PageLen]))
	}
	return s.chain[n]
}

// pagesFor so many positions.
func pagesFor(positions int) int { return (positions + abi.PageLen - 1) / abi.PageLen }
