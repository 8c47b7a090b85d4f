package tokenizer

// trie finds the longest token that a row of symbols begins with. It is one hash
// table: a node is the slot where it lies, found by its parent and the symbol between;
// the parent of a node of two symbols is the first of these itself, below zero. Slots
// lie in buckets of a cache line, and four symbols that follow each other share one:
// the letters that may come next lie in a few lines.
type trie struct {
	buckets []trieBucket
	heads   pairFilter // of the first two symbols of tokens
}

type trieBucket [1 << trieShift]trieSlot

type trieSlot struct {
	parent, symbol, token int32
	next                  uint32 // a bit for the symbols that lead on from here, by their last five
}

const (
	trieShift = 2
	noNode    = -1 << 31 // the parent in an empty slot
)

// newTrie has room for a number of nodes.
func newTrie(nodes int) trie {
	x := trie{buckets: make([]trieBucket, nodes>>trieShift*5/4+2), heads: newPairFilter(nodes / 16)}
	for i := range x.buckets {
		for j := range x.buckets[i] {
			x.buckets[i][j].parent = noNode
		}
	}
	return x
}

func firstNode(symbol int32) int32 { return ^symbol }

func (x *trie) slot(node int32) *trieSlot {
	return &x.buckets[node>>trieShift][node&(1<<trieShift-1)]
}

// child is a node, or the empty slot where it belongs.
func (x *trie) child(parent, symbol int32) (node int32, ok bool) {
	i := scale(hash(pairKey(parent, symbol>>trieShift)), len(x.buckets))
	for {
		b := &x.buckets[i]
		for j := range b {
			s := &b[j]
			if s.parent == parent && s.symbol == symbol {
				return int32(i<<trieShift | j), true
			}
			if s.parent == noNode {
				return int32(i<<trieShift | j), false
			}
		}
		if i++; i == len(x.buckets) {
			i = 0
		}
	}
}

// add makes the nodes of a token of at least two symbols.
func (x *trie) add(symbols []int32, token int32) {
	node := firstNode(symbols[0])
	x.heads.add(hash(pairKey(node, symbols[1])))
	for _, symbol := range symbols[1:] {
		child, ok := x.child(node, symbol)
		if !ok {
			*x.slot(child) = trieSlot{parent: node, symbol: symbol, token: None}
		}
		if node >= 0 {
			x.slot(node).next |= 1 << (symbol & 31)
		}
		node = child
	}
	x.slot(node).token = token
}

// longest is the longest token that leads on from a node by the symbols, or the one so
// far; steps is how many of the symbols were looked at.
func (x *trie) longest(symbols []int32, node, token int32) (longest int32, steps int) {
	next := ^uint32(0)
	if node >= 0 {
		next = x.slot(node).next
	} else if len(symbols) > 0 && !x.heads.has(hash(pairKey(node, symbols[0]))) {
		return token, 1
	}
	for i, symbol := range symbols {
		if next>>(symbol&31)&1 == 0 {
			return token, i + 1
		}
		child, ok := x.child(node, symbol)
		if !ok {
			return token, i + 1
		}
		s := x.slot(child)
		if node, next = child, s.next; s.token != None {
			token = s.token
		}
	}
	return token, len(symbols)
}

// sameRow remembers the way through the trie by one symbol again and again. A search
// goes it at each place of a long row of them.
type sameRow struct {
	symbol        int32
	nodes, tokens []int32 // after 1, 2, ... symbols, and the longest token so far
	end           bool    // no node follows
}

// walk goes as far as the symbols are the same.
func (r *sameRow) walk(x *trie, symbols []int32) (node, token int32, n int) {
	if len(r.nodes) == 0 || r.symbol != symbols[0] {
		*r = sameRow{symbols[0], append(r.nodes[:0], firstNode(symbols[0])), append(r.tokens[:0], symbols[0]), false}
	}
	n = 1
	for n < len(symbols) && symbols[n] == r.symbol && (n < len(r.nodes) || r.grow(x)) {
		n++
	}
	return r.nodes[n-1], r.tokens[n-1], n
}

// grow goes one node further, if there is one.
func (r *sameRow) grow(x *trie) bool {
	last := len(r.nodes) - 1
	slot, ok := x.child(r.nodes[last], r.symbol)
	if r.end = r.end || !ok; r.end {
		return false
	}
	token := x.slot(slot).token
	if token == None {
		token = r.tokens[last]
	}
	r.nodes, r.tokens = append(r.nodes, slot), append(r.tokens, token)
	return true
}
