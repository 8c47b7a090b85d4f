package tokenizer

// windowGroup is how many places of a window have their best rank noted.
const windowGroup = 8

// window is the tokens of a short stretch, each at the place of its first symbol, and
// the pair that begins there. The best rank of each group of places is noted, so that
// a merge looks at the groups that it changed and not at all pairs.
type window struct {
	size       int
	ids        [blockSize]int32
	next, prev [blockSize]int32 // size and -1 at the ends
	pairs      [blockSize]uint64
	low        [blockSize / windowGroup]uint32
}

// fill begins with the symbols.
func (w *window) fill(t *Tokenizer, symbols []int32) {
	w.size = copy(w.ids[:], symbols)
	for i := range w.pairs {
		w.next[i], w.prev[i], w.pairs[i] = int32(i)+1, int32(i)-1, noPair
		if i+1 < w.size {
			w.pairs[i] = t.merges.find(symbols[i], symbols[i+1])
		}
	}
	for g := range w.low {
		w.note(g)
	}
}

// note finds the best rank of a group.
func (w *window) note(g int) {
	low := uint32(noRank)
	for _, p := range w.pairs[g*windowGroup:][:windowGroup] {
		low = min(low, uint32(p>>32))
	}
	w.low[g] = low
}

// best is the place of the pair of the lowest rank, the leftmost of equals, or -1 when
// none merges.
func (w *window) best() int {
	group, low := -1, uint32(noRank)
	for g, rank := range w.low {
		if rank < low {
			group, low = g, rank
		}
	}
	if group < 0 {
		return -1
	}
	at := group * windowGroup
	for uint32(w.pairs[at]>>32) != low {
		at++
	}
	return at
}

// join replaces the tokens of the pair at i by what they make.
func (w *window) join(t *Tokenizer, i int) {
	gone := int(w.next[i])
	after := w.next[gone]
	w.ids[i], w.next[i] = int32(uint32(w.pairs[i])), after
	if int(after) < w.size {
		w.prev[after] = int32(i)
	}
	w.pairs[gone] = noPair
	w.renew(t, i)
	if gone/windowGroup != i/windowGroup {
		w.note(gone / windowGroup)
	}
	before := int(w.prev[i])
	if before >= 0 {
		w.renew(t, before)
	}
	w.note(i / windowGroup)
	if before >= 0 && before/windowGroup != i/windowGroup {
		w.note(before / windowGroup)
	}
}

// renew looks up the pair that begins at i again.
func (w *window) renew(t *Tokenizer, i int) {
	w.pairs[i] = noPair
	if next := int(w.next[i]); next < w.size {
		w.pairs[i] = t.merges.find(w.ids[i], w.ids[next])
	}
}
