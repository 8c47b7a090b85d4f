package tokenizer

// queue merges a row of symbols as it is defined: a linked list of tokens and a heap
// of the pairs that may merge, by rank and place.
type queue struct {
	nodes []node
	pairs []uint64 // a heap: rank, then place
}

// node is a token with its neighbours, -1 at the ends.
type node struct {
	id, next, prev int32
	rank           uint32 // of the merge with the right neighbour, or noRank
}

// merge appends the tokens that the symbols merge to.
func (q *queue) merge(t *Tokenizer, symbols, dst []int32) []int32 {
	q.nodes, q.pairs = q.nodes[:0], q.pairs[:0]
	for i, id := range symbols {
		q.nodes = append(q.nodes, node{id: id, next: int32(i) + 1, prev: int32(i) - 1})
	}
	if len(symbols) == 0 {
		return dst
	}
	q.nodes[len(symbols)-1].next = -1
	for i := range q.nodes {
		q.renew(t, int32(i))
	}
	for len(q.pairs) > 0 {
		// Of the entries for a node only the last is true.
		first := q.pop()
		if at := int32(uint32(first)); q.nodes[at].rank == uint32(first>>32) {
			q.join(t, at)
		}
	}
	for i := int32(0); i >= 0; i = q.nodes[i].next {
		dst = append(dst, q.nodes[i].id)
	}
	return dst
}

// join replaces the tokens at i and to the right of it by what they make.
func (q *queue) join(t *Tokenizer, i int32) {
	at := &q.nodes[i]
	gone := &q.nodes[at.next]
	at.id = int32(uint32(t.merges.find(at.id, gone.id)))
	at.next, gone.rank = gone.next, noRank
	if at.next >= 0 {
		q.nodes[at.next].prev = i
	}
	if at.prev >= 0 {
		q.renew(t, at.prev)
	}
	q.renew(t, i)
}

// renew looks up the pair that begins at i.
func (q *queue) renew(t *Tokenizer, i int32) {
	at := &q.nodes[i]
	at.rank = noRank
	if at.next < 0 {
		return
	}
	if pair := t.merges.find(at.id, q.nodes[at.next].id); pair != noPair {
		at.rank = uint32(pair >> 32)
		q.push(uint64(at.rank)<<32 | uint64(i))
	}
}

func (q *queue) push(v uint64) {
	h := append(q.pairs, v)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > v {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = v
	q.pairs = h
}

func (q *queue) pop() uint64 {
	h := q.pairs
	top, v := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for down := 1; down < len(h); down = 2*i + 1 {
		if down+1 < len(h) && h[down+1] < h[down] {
			down++
		}
		if v <= h[down] {
			break
		}
		h[i] = h[down]
		i = down
	}
	if len(h) > 0 {
		h[i] = v
	}
	q.pairs = h
	return top
}
