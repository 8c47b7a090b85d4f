package tokenizer

// shortPiece is the longest piece, in bytes, that is merged by scanning all its
// pairs for the best one: quadratic, but faster than a heap up to here.
const shortPiece = 48

// encoder appends the ids of one text to out.
type encoder struct {
	t   *Tokenizer
	out []int32

	ids   [shortPiece]int32
	pairs [shortPiece]uint64
	long  longPiece
}

// piece appends the ids of one piece of the pre-tokeniser.
func (e *encoder) piece(s string) {
	if e.t.whole {
		if id, ok := e.t.ids[s]; ok {
			e.out = append(e.out, id)
			return
		}
	}
	if len(s) > shortPiece {
		e.out = e.long.merge(e.t, s, e.out)
		return
	}
	e.short(s)
}

// short merges the best pair, the leftmost of equals, until none is left.
func (e *encoder) short(s string) {
	ids := bytesToIDs(e.t, s, e.ids[:0])
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
		if at > 0 {
			pairs[at-1] = merges.find(ids[at-1], ids[at])
		}
		if at < len(pairs) {
			pairs[at] = merges.find(ids[at], ids[at+1])
		}
	}
	e.out = append(e.out, ids...)
}

// best is the index of the lowest pair, or -1 when none merges.
func best(pairs []uint64) int {
	at, low := -1, noPair
	for i, p := range pairs {
		if p < low {
			at, low = i, p
		}
	}
	return at
}

func remove[T any](s []T, i int) []T { return append(s[:i], s[i+1:]...) }

// bytesToIDs appends the token of each byte; a byte without one is left out, as in
// the reference.
func bytesToIDs(t *Tokenizer, s string, dst []int32) []int32 {
	for i := range len(s) {
		if id := t.byteIDs[s[i]]; id != None {
			dst = append(dst, id)
		}
	}
	return dst
}
