package tokenizer

// couple is what is known of two numbered symbols beside each other. Most texts consist
// of few symbols, so that what is asked for most lies together.
type couple struct {
	rank uint32 // of their merge plus one, or noRank
	node int32  // in the trie, or noNode
}

const numbered = 256

// couples holds them by both numbers. Noise asks for all of them in turn and finds few,
// so those that are there have a bit.
type couples struct {
	known [numbered][numbered / 64]uint64
	all   [numbered][numbered]couple
}

// nobody is a couple of which nothing is known.
var nobody = couple{noRank, noNode}

// of is the couple of two symbols; ok says whether both have a number.
func (c *couples) of(left, right int16) (found couple, ok bool) {
	if left|right < 0 {
		return nobody, false
	}
	if c.known[left][right>>6]>>(right&63)&1 == 0 {
		return nobody, true
	}
	return c.all[left][right], true
}

// set is the couple of two symbols to write to, or nil where one has no number.
func (c *couples) set(left, right int16) *couple {
	if left|right < 0 {
		return nil
	}
	found := &c.all[left][right]
	if bit := uint64(1) << (right & 63); c.known[left][right>>6]&bit == 0 {
		c.known[left][right>>6] |= bit
		*found = nobody
	}
	return found
}

// setCouples takes the merges of numbered symbols.
func (t *Tokenizer) setCouples() {
	t.couples = new(couples)
	for _, s := range t.merges.slots {
		if s.key == noPair {
			continue
		}
		left, right := int32(s.key>>32), int32(uint32(s.key))
		if t.recipes[left].size != 1 || t.recipes[right].size != 1 {
			continue
		}
		if c := t.couples.set(t.outlines[left].last, t.outlines[right].first); c != nil {
			c.rank = uint32(s.found>>32) + 1
		}
	}
}

// learnSpelling takes a token into the trie.
func (t *Tokenizer) learnSpelling(id int32, symbols []int32) {
	node := t.trie.add(symbols, id)
	if c := t.couples.set(t.outlines[symbols[0]].last, t.outlines[symbols[1]].first); c != nil {
		c.node = node
	}
}

// longest is the longest token that symbols begin with; steps is how many of them were
// looked at.
func (t *Tokenizer) longest(symbols []int32) (token int32, steps int) {
	token = symbols[0]
	if len(symbols) == 1 {
		return token, 1
	}
	c, ok := t.couples.of(t.outlines[token].last, t.outlines[symbols[1]].first)
	node := c.node
	if !ok {
		node = t.trie.second(token, symbols[1])
	}
	if node == noNode {
		return token, 2
	}
	token, steps = t.trie.longest(symbols[2:], node, token)
	return token, steps + 2
}
