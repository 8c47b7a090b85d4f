package tokenizer

// trie finds the longest token that a row of symbols begins with. It is one hash
// table: a node is the slot where it lies, found by its parent and the symbol between;
// the parent of a node of two symbols is the first of these itself, below zero. Slots
// lie in buckets of a cache line, and four symbols that follow each other share one:
// the letters that may come next lie in a few lines.
type trie struct{ buckets []trieBucket }

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
	x := trie{buckets: make([]trieBucket, nodes>>trieShift*5/4+2)}
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

// second is the node of two symbols, or noNode.
func (x *trie) second(a, b int32) int32 {
	if node, ok := x.child(firstNode(a), b); ok {
		return node
	}
	return noNode
}

// add makes the nodes of a token of at least two symbols. The first is that of two.
func (x *trie) add(symbols []int32, token int32) (first int32) {
	node := firstNode(symbols[0])
	for i, symbol := range symbols[1:] {
		child, ok := x.child(node, symbol)
		if !ok {
			*x.slot(child) = trieSlot{parent: node, symbol: symbol, token: None}
		}
		if i == 0 {
			first = child
		} else {
			x.slot(node).next |= 1 << (symbol & 31)
		}
		node = child
	}
	x.slot(node).token = token
	return first
}

// longest is the longest token at a node or further on by the symbols, or the one so
// far; steps is how many of the symbols were looked at.
func (x *trie) longest(symbols []int32, node, token int32) (longest int32, steps int) {
	for {
		s := x.slot(node)
		if s.token != None {
			token = s.token
		}
		if steps == len(symbols) {
			return token, steps
		}
		symbol := symbols[steps]
		steps++
		if s.next>>(symbol&31)&1 == 0 {
			return token, steps
		}
		child, ok := x.child(node, symbol)
		if !ok {
			return token, steps
		}
		node = child
	}
}
