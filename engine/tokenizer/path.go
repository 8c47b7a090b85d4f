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
	longest bool     // the last token is the longest of all that begin where it does
	round   round
	known   [1 << knownShift]follower
	work    int // symbols, tokens and pairs looked at: the tests count them
}

const knownShift = 8

// follower is what may follow a token, by the key of both plus one.
type follower struct {
	key   uint64
	token int32
}

// word appends the tokens of a word.
func (p *path) word(t *Tokenizer, s string, out []int32) []int32 {
	p.symbols = t.symbols(s, p.symbols[:0])
	switch len(p.symbols) {
	case 0:
		return out
	case 1:
		return append(out, p.symbols[0])
	}
	p.tokens, p.first, p.dead, p.round.end = out, len(out), p.dead[:0], 0
	p.search(t)
	out, p.tokens = p.tokens, nil
	return out
}

// search goes on with the longest token that fits or, where none does, back to the
// last one and on with a shorter one in its place.
func (p *path) search(t *Tokenizer) {
	for from := 0; from < len(p.symbols); {
		longest := p.find(t, from)
		token := p.fit(t, longest, from)
		for token == None {
			token, from = p.back(t, from)
			longest, p.longest = None, false
			token = p.fit(t, t.outlines[token].shorter, from)
		}
		p.tokens, p.longest = append(p.tokens, token), token == longest
		from += int(t.recipes[token].size)
	}
}

// find is the longest token that begins at a place.
func (p *path) find(t *Tokenizer, from int) int32 {
	if token, ok := p.round.find(from); ok {
		p.work++
		return token
	}
	token, steps := t.longest(p.symbols[from:])
	p.work += steps
	if steps >= longWay {
		p.work += p.round.learn(p.symbols, from, steps, token)
	}
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
		token = t.outlines[token].shorter
	}
	return token
}

// follow is fit without regard to the place. What was asked last is remembered: a text
// that repeats itself asks for it again.
func (p *path) follow(t *Tokenizer, left, token int32) int32 {
	p.work++
	key := pairKey(left, token)
	known := &p.known[hash(key)>>(64-knownShift)]
	if known.key == key+1 {
		return known.token
	}
	for token != None {
		apart, steps := t.apart(left, token, p.longest)
		if p.work += steps; apart {
			break
		}
		token = t.outlines[token].shorter
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
