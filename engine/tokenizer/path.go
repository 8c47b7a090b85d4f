package tokenizer

// path finds the tokens that merging a word would leave, without merging.
//
// Merging takes the best pair of all, so what it does to a stretch of symbols is what
// it would do to that stretch alone, unless a merge reaches over the stretch's border;
// and the first merge that reaches over the border of two tokens happens just so among
// the symbols of these two. A row of tokens is therefore what merging leaves if and
// only if each token is what its own symbols merge to and each two neighbours stay
// apart when merged by themselves. There is just one such row for the symbols up to any
// place. So a search from left to right, the longest token first, need visit no place
// twice: its time is linear in the symbols.
type path struct {
	symbols []int32
	tokens  []int32  // the row so far, behind what was there before
	first   int      // of the row
	dead    []uint64 // a bit for each place from which no row leads to the end; empty for none
	row     sameRow
	known   [1 << 10]follower
	work    int // symbols, tokens and pairs looked at: the tests count them
}

// follower is what may follow a token, by the key of both plus one.
type follower struct {
	key   uint64
	token int32
}

// word appends the tokens of a word.
func (p *path) word(t *Tokenizer, s string, out []int32) []int32 {
	p.symbols = t.symbols(s, p.symbols[:0])
	if len(p.symbols) < 2 {
		return append(out, p.symbols...)
	}
	p.tokens, p.first, p.dead = out, len(out), p.dead[:0]
	p.search(t)
	out, p.tokens = p.tokens, nil
	return out
}

// search goes on with the longest token that fits or, where none does, back to the
// last one and on with a shorter one in its place.
func (p *path) search(t *Tokenizer) {
	for from := 0; from < len(p.symbols); {
		token := p.fit(t, p.longest(t, from), from)
		for token == None {
			token, from = p.back(t, from)
			token = p.fit(t, t.recipes[token].shorter, from)
		}
		p.tokens = append(p.tokens, token)
		from += int(t.recipes[token].size)
	}
}

// longest is the longest token that begins at a place.
func (p *path) longest(t *Tokenizer, from int) int32 {
	symbols := p.symbols[from:]
	node, token, n := firstNode(symbols[0]), symbols[0], 1
	if len(symbols) > 1 && symbols[1] == symbols[0] {
		node, token, n = p.row.walk(&t.trie, symbols)
	}
	token, steps := t.trie.longest(symbols[n:], node, token)
	p.work += 1 + steps
	return token
}

// fit is the longest token of those that one begins with, itself included, that may
// follow the row so far, or None.
func (p *path) fit(t *Tokenizer, token int32, from int) int32 {
	for token != None {
		if last := len(p.tokens) - 1; last >= p.first {
			token = p.follow(t, p.tokens[last], token)
		}
		if token == None || !p.isDead(from+int(t.recipes[token].size)) {
			break
		}
		token = t.recipes[token].shorter
	}
	return token
}

// follow is fit without regard to the place. What was asked last is remembered: a text
// that repeats itself asks for it again.
func (p *path) follow(t *Tokenizer, left, token int32) int32 {
	p.work++
	key := pairKey(left, token)
	known := &p.known[hash(key)>>54]
	if known.key == key+1 {
		return known.token
	}
	for token != None {
		apart, steps := t.apart(left, token)
		if p.work += steps; apart {
			break
		}
		token = t.recipes[token].shorter
	}
	*known = follower{key + 1, token}
	return token
}

func (p *path) isDead(place int) bool {
	return len(p.dead) > 0 && p.dead[place/64]>>(place%64)&1 != 0
}

// back takes the last token away, because nothing follows it.
func (p *path) back(t *Tokenizer, from int) (token int32, at int) {
	if len(p.dead) == 0 {
		p.dead = append(p.dead, make([]uint64, len(p.symbols)/64+1)...)
	}
	p.dead[from/64] |= 1 << (from % 64)
	last := len(p.tokens) - 1
	token, p.tokens = p.tokens[last], p.tokens[:last]
	return token, from - int(t.recipes[token].size)
}
