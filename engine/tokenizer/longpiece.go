package tokenizer

// longPiece merges a piece of any length: a linked list of tokens and a queue of the
// pairs that may merge. Its slices are reused from piece to piece.
type longPiece struct {
	ids        []int32
	next, prev []int32  // indices into ids; -1 at the ends
	pairs      []uint64 // current merge of ids[i] with its right neighbour; noPair for a dead i
	queue      rankQueue
	work       int // merges looked up: the tests count them
}

func newLongPiece(ranks int) *longPiece { return &longPiece{queue: newRankQueue(ranks)} }

func (l *longPiece) merge(t *Tokenizer, s string, out []int32) []int32 {
	l.ids = t.symbols(s, l.ids[:0])
	l.link(t)
	for l.queue.len() > 0 {
		rank, at := l.queue.pop()
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

// link makes a list of the ids and a queue of their pairs.
func (l *longPiece) link(t *Tokenizer) {
	n := len(l.ids)
	l.next, l.prev, l.pairs = resize(l.next, n), resize(l.prev, n), resize(l.pairs, n)
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
	if l.prev[i] >= 0 {
		l.renew(t, l.prev[i])
	}
	l.renew(t, i)
}

// renew looks up the pair that begins at i and queues it.
func (l *longPiece) renew(t *Tokenizer, i int32) {
	l.pairs[i] = noPair
	if l.next[i] < 0 {
		return
	}
	l.work++
	pair := t.merges.find(l.ids[i], l.ids[l.next[i]])
	if l.pairs[i] = pair; pair != noPair {
		l.queue.push(uint32(pair>>32), i)
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
