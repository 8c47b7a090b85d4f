package tokenizer

// longPiece merges any number of symbols: a linked list of tokens and a queue of the
// pairs that may merge. Its slices are reused from stretch to stretch.
type longPiece struct {
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

func (l *longPiece) merge(t *Tokenizer, symbols []int32, into *tokens) {
	l.link(t, symbols)
	for l.queue.len() > 0 {
		rank, at := l.queue.pop()
		// Of the entries pushed for a node only the last is true: the pair of an
		// older one is gone.
		if pair := l.nodes[at].pair; pair != noPair && uint32(pair>>32) == rank {
			l.join(t, at, int32(uint32(pair)))
		}
	}
	into.reset(len(symbols))
	for i := int32(0); i >= 0 && len(l.nodes) > 0; i = l.nodes[i].next {
		into.ids, into.at = append(into.ids, l.nodes[i].id), append(into.at, i)
	}
}

// link makes a list of the symbols and a queue of their pairs.
func (l *longPiece) link(t *Tokenizer, symbols []int32) {
	n := len(symbols)
	if cap(l.nodes) < n {
		l.nodes = make([]node, n)
	}
	l.nodes = l.nodes[:n]
	for i, id := range symbols {
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
