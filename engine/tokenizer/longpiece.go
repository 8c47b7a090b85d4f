package tokenizer

// longPiece merges a piece of any length: a linked list of tokens and a queue of the
// pairs that may merge. Its slices are reused from piece to piece.
type longPiece struct {
	ids   []int32
	nodes []node
	queue rankQueue
	work  int // merges looked up: the tests count them
}

// node is a token with its neighbours, -1 at the ends. All of it lies together,
// because ranks visit a long piece in no order that a cache could follow.
type node struct {
	pair       uint64 // the merge with the right neighbour; noPair for one that is gone
	id         int32
	next, prev int32
}

func newLongPiece(ranks int) *longPiece { return &longPiece{queue: newRankQueue(ranks)} }

func (l *longPiece) merge(t *Tokenizer, s string, out []int32) []int32 {
	l.ids = t.symbols(s, l.ids[:0])
	l.link(t)
	for l.queue.len() > 0 {
		rank, at := l.queue.pop()
		// Of the entries pushed for a node only the last is true: the pair of an
		// older one is gone.
		if pair := l.nodes[at].pair; pair != noPair && uint32(pair>>32) == rank {
			l.join(t, at, int32(uint32(pair)))
		}
	}
	for i := int32(0); i >= 0 && len(l.nodes) > 0; i = l.nodes[i].next {
		out = append(out, l.nodes[i].id)
	}
	return out
}

// link makes a list of the ids and a queue of their pairs.
func (l *longPiece) link(t *Tokenizer) {
	n := len(l.ids)
	if cap(l.nodes) < n {
		l.nodes = make([]node, n)
	}
	l.nodes = l.nodes[:n]
	for i, id := range l.ids {
		l.nodes[i] = node{id: id, next: int32(i) + 1, prev: int32(i) - 1}
	}
	if n > 0 {
		l.nodes[n-1].next = -1
	}
	for i := range n {
		l.renew(t, int32(i))
	}
}

// join replaces the tokens at i and to the right of it by made.
func (l *longPiece) join(t *Tokenizer, i, made int32) {
	at := &l.nodes[i]
	gone := &l.nodes[at.next]
	at.id, gone.pair = made, noPair
	at.next = gone.next
	if at.next >= 0 {
		l.nodes[at.next].prev = i
	}
	if at.prev >= 0 {
		l.renew(t, at.prev)
	}
	l.renew(t, i)
}

// renew looks up the pair that begins at i and queues it.
func (l *longPiece) renew(t *Tokenizer, i int32) {
	at := &l.nodes[i]
	at.pair = noPair
	if at.next < 0 {
		return
	}
	l.work++
	pair := t.merges.find(at.id, l.nodes[at.next].id)
	if at.pair = pair; pair != noPair {
		l.queue.push(uint32(pair>>32), i)
	}
}
