package tokenizer

// shortPiece is the longest piece, in bytes, that is merged by scanning all its
// pairs for the best one: quadratic, but faster than a queue up to here.
const shortPiece = 48

// encoder appends the ids of one text to out.
type encoder struct {
	t   *Tokenizer
	out []int32

	ids   [shortPiece]int32
	pairs [shortPiece]uint64
	long  *blocks // nil until one is needed
}

// piece appends the ids of one piece of the pre-tokeniser.
func (e *encoder) piece(s string) {
	if e.t.whole {
		if id := e.t.piece(s); id != None {
			e.out = append(e.out, id)
			return
		}
	}
	for e.t.chars && len(s) > 0 {
		n := e.t.joins.cut(s)
		e.word(s[:n])
		s = s[n:]
	}
	if len(s) > 0 {
		e.word(s)
	}
}

// word appends the ids of a piece in which every character may join the next.
func (e *encoder) word(s string) {
	if len(s) <= shortPiece {
		e.short(s)
		return
	}
	if e.long == nil {
		e.long = e.t.borrowLong()
	}
	e.out = e.long.merge(e.t, s, e.out)
}

// release gives the working memory back.
func (e *encoder) release() {
	if e.long != nil {
		e.t.long.Put(e.long)
	}
}

func (t *Tokenizer) borrowLong() *blocks {
	if b, ok := t.long.Get().(*blocks); ok {
		return b
	}
	return new(blocks)
}

// short merges the best pair, the leftmost of equals, until none is left.
func (e *encoder) short(s string) {
	ids := e.t.symbols(s, e.ids[:0])
	if len(ids) < 2 {
		e.out = append(e.out, ids...)
		return
	}
	merges := &e.t.merges
	pairs := e.pairs[:len(ids)-1]
	for i := range pairs {
		pairs[i] = merges.find(ids[i], ids[i+1])
	}
	for {
		at := best(pairs)
		if at < 0 {
			break
		}
		ids[at] = int32(uint32(pairs[at]))
		ids = remove(ids, at+1)
		pairs = remove(pairs, at)
		e.t.renew(pairs, ids, at-1)
		e.t.renew(pairs, ids, at)
	}
	e.out = append(e.out, ids...)
}

// best is the index of the pair of the lowest rank, the leftmost of equals, or -1
// when none merges.
func best(pairs []uint64) int {
	at, low := -1, uint32(noRank)
	for i, p := range pairs {
		if rank := uint32(p >> 32); rank < low {
			at, low = i, rank
		}
	}
	return at
}

func remove[T any](s []T, i int) []T { return append(s[:i], s[i+1:]...) }

// renew looks up pair i again, if there is one.
func (t *Tokenizer) renew(pairs []uint64, ids []int32, i int) {
	if i >= 0 && i < len(pairs) {
		pairs[i] = t.merges.find(ids[i], ids[i+1])
	}
}
