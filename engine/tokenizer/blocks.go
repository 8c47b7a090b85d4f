package tokenizer

const (
	// blockSize is how many symbols of a long word are merged at a time, and blockEdge
	// how many of them, at the right end, may still hang on what follows.
	blockSize = 96
	blockEdge = 16
	// maxBlock is the largest block tried: a word that has none of this size without
	// a merge over its border is merged as a whole.
	maxBlock = 1 << 13
	// blockGrowth is how many times larger blocks become, for the rest of the word,
	// where tokens are too long for them.
	blockGrowth = 8
)

// blocks merges a word of any length block by block, because the best merges of a
// long one lie at places in no order that a cache could follow.
//
// The result is that of the whole word. Merging always takes the best pair of all,
// so what it does to a stretch of symbols is what it would do to that stretch alone,
// unless a merge reaches over the stretch's border; and the first merge that reaches
// over the border of two tokens happens just so among the symbols of these two. Two
// merged stretches are therefore the merge of both together if and only if the last
// token of the one and the first of the other, taken apart and merged, come out as
// they were.
type blocks struct {
	symbols   []int32 // of the word
	out       []int32 // tokens of symbols[:from], the last of which begins at last
	from      int
	last      int
	now, next tokens // of a block that begins at from, and of the one after it
	seam      tokens
	queue     *longPiece // nil until one is needed
	whole     int        // words merged as a whole: the tests count them
}

// tokens is a merged stretch of symbols: ids and, in the stretch, where each begins.
type tokens struct {
	ids, at []int32
	size    int // symbols of the stretch
}

// merge appends the tokens of a word.
func (b *blocks) merge(t *Tokenizer, s string, out []int32) []int32 {
	b.symbols = t.symbols(s, b.symbols[:0])
	b.out, b.from, b.last = out, 0, 0
	if !b.walk(t) {
		b.whole++
		b.tokens(t, &b.now, b.symbols)
		b.out = append(out, b.now.ids...)
	}
	out, b.out = b.out, nil
	return out
}

// walk merges block by block; false where that does not lead to the end.
func (b *blocks) walk(t *Tokenizer) bool {
	size := blockSize
	b.block(t, &b.now, 0, size)
	for b.from+b.now.size < len(b.symbols) {
		if b.step(t, size) {
			continue
		}
		if size *= blockGrowth; size > maxBlock {
			return false
		}
		b.block(t, &b.now, b.from, size)
		if b.from > 0 && !b.apart(t, b.last, b.from, b.from+b.now.end(0)) {
			return false
		}
	}
	b.out = append(b.out, b.now.ids...)
	return true
}

// step goes on to the block behind the last token that does not lie at the edge of
// this one; false where none follows on there.
func (b *blocks) step(t *Tokenizer, size int) bool {
	n := b.now.until(b.now.size - max(blockEdge, size/8))
	if n == 0 {
		return false
	}
	last, from := b.from+int(b.now.at[n-1]), b.from+b.now.end(n-1)
	b.block(t, &b.next, from, size)
	to := from + b.next.end(0)
	if !b.known(b.now.ids[n-1], b.next.ids[0], to-last) && !b.apart(t, last, from, to) {
		return false
	}
	b.out = append(b.out, b.now.ids[:n]...)
	b.last, b.from = last, from
	b.now, b.next = b.next, b.now
	return true
}

// block merges up to size symbols from a place on.
func (b *blocks) block(t *Tokenizer, into *tokens, from, size int) {
	b.tokens(t, into, b.symbols[from:min(from+size, len(b.symbols))])
}

// apart says whether the tokens symbols[from:border] and symbols[border:to] stay apart.
func (b *blocks) apart(t *Tokenizer, from, border, to int) bool {
	b.tokens(t, &b.seam, b.symbols[from:to])
	return len(b.seam.ids) == 2 && from+int(b.seam.at[1]) == border
}

// known says whether the two tokens, of so many symbols together, are those that were
// merged alone before and stayed apart: in a run of one character they mostly are.
func (b *blocks) known(left, right int32, size int) bool {
	s := &b.seam
	return len(s.ids) == 2 && s.ids[0] == left && s.ids[1] == right && s.size == size
}

// tokens merges a stretch of symbols.
func (b *blocks) tokens(t *Tokenizer, into *tokens, symbols []int32) {
	if len(symbols) <= blockSize {
		into.scan(t, symbols)
		return
	}
	if b.queue == nil {
		b.queue = newLongPiece(t.ranks)
	}
	b.queue.merge(t, symbols, into)
}

// reset begins a stretch of so many symbols.
func (k *tokens) reset(size int) { k.ids, k.at, k.size = k.ids[:0], k.at[:0], size }

// end is where token i ends.
func (k *tokens) end(i int) int {
	if i+1 < len(k.at) {
		return int(k.at[i+1])
	}
	return k.size
}

// until is how many tokens end at most at a place.
func (k *tokens) until(end int) int {
	n := len(k.ids)
	for n > 0 && k.end(n-1) > end {
		n--
	}
	return n
}

// scan merges a short stretch by looking for the best of its pairs each time.
func (k *tokens) scan(t *Tokenizer, symbols []int32) {
	var w window
	w.fill(t, symbols)
	for at := w.best(); at >= 0; at = w.best() {
		w.join(t, at)
	}
	k.reset(len(symbols))
	for i := 0; i < len(symbols); i = int(w.next[i]) {
		k.ids, k.at = append(k.ids, w.ids[i]), append(k.at, int32(i))
	}
}
