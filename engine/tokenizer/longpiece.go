package tokenizer

// longPiece merges a piece of any length in n log n steps: a linked list of tokens
// and a heap of the pairs that may merge. Its slices are reused from piece to piece.
type longPiece struct {
	ids        []int32
	next, prev []int32  // indices into ids; -1 at the ends
	pairs      []uint64 // current merge of ids[i] with its right neighbour; noPair for a dead i
	heap       pairHeap
}

func (l *longPiece) merge(t *Tokenizer, s string, out []int32) []int32 {
	l.ids = bytesToIDs(t, s, l.ids[:0])
	l.link(t)
	for len(l.heap) > 0 {
		rank, at := l.heap.pop()
		// Of the entries pushed for an index only the last is true: the pair of
		// an older one is gone.
		if pair := l.pairs[at]; pair != noPair && uint32(pair>>32) == rank {
			l.join(t, at, int32(uint32(pair)))
		}
	}
	for i := int32(0); i >= 0 && len(l.ids) > 0; i = l.next[i] {
		out = append(out, l.ids[i])
	}
	return out
}

// link makes a list of the ids and a heap of their pairs.
func (l *longPiece) link(t *Tokenizer) {
	n := len(l.ids)
	l.next, l.prev, l.pairs = resize(l.next, n), resize(l.prev, n), resize(l.pairs, n)
	l.heap = l.heap[:0]
	for i := range n {
		l.prev[i], l.next[i] = int32(i)-1, int32(i)+1
	}
	if n > 0 {
		l.next[n-1] = -1
	}
	for i := range n {
		l.renew(t, int32(i))
	}
}

// join replaces the tokens at i and to the right of it by made.
func (l *longPiece) join(t *Tokenizer, i, made int32) {
	gone := l.next[i]
	l.ids[i], l.pairs[gone] = made, noPair
	l.next[i] = l.next[gone]
	if l.next[i] >= 0 {
		l.prev[l.next[i]] = i
	}
	l.renew(t, i)
	if l.prev[i] >= 0 {
		l.renew(t, l.prev[i])
	}
}

// renew looks up the pair that begins at i and pushes it.
func (l *longPiece) renew(t *Tokenizer, i int32) {
	l.pairs[i] = noPair
	if l.next[i] < 0 {
		return
	}
	pair := t.merges.find(l.ids[i], l.ids[l.next[i]])
	if l.pairs[i] = pair; pair != noPair {
		l.heap.push(uint32(pair>>32), i)
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// pairHeap is a binary min-heap of rank<<32 | index: the lowest rank first, and of
// equal ranks the leftmost.
type pairHeap []uint64

func (h *pairHeap) push(rank uint32, at int32) {
	*h = append(*h, uint64(rank)<<32|uint64(uint32(at)))
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up] <= s[i] {
			return
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h *pairHeap) pop() (rank uint32, at int32) {
	s := *h
	top := s[0]
	s[0] = s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(s) {
			break
		}
		if down+1 < len(s) && s[down+1] < s[down] {
			down++
		}
		if s[i] <= s[down] {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	return uint32(top >> 32), int32(uint32(top))
}
