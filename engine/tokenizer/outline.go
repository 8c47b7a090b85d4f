package tokenizer

// outline is what is asked first of a token that merging makes: its first and its last
// symbol, and when they merge. Most tokens that may not follow another are found out by
// the two symbols at the border.
type outline struct {
	firstTime, lastTime uint32 // when the symbol merges first, or noRank
	shorter             int32  // the longest token that this one begins with, or None
	first, last         int16  // the symbols' numbers, or None
}

// setOutlines sets all but what needs the trie. The first symbols have numbers.
func (t *Tokenizer) setOutlines() {
	t.outlines = make([]outline, len(t.recipes))
	count := int16(0)
	for _, id := range t.symbolIDs() {
		number := int16(None)
		if count < numbered {
			number = count
			count++
		}
		t.outlines[id] = outline{noRank, noRank, None, number, number}
	}
	for id, r := range t.recipes {
		if r.size > 1 {
			first, firstTime := t.edge(int32(id), func(r *recipe) int32 { return r.left })
			last, lastTime := t.edge(int32(id), func(r *recipe) int32 { return r.right })
			t.outlines[id] = outline{firstTime, lastTime, None, t.outlines[first].first, t.outlines[last].last}
		}
	}
}

// symbolIDs are the tokens that no merge makes, the common ones first: those of
// characters have ids in that order, those of bytes that stand in for others come last.
func (t *Tokenizer) symbolIDs() (ids []int32) {
	for _, bytes := range []bool{false, true} {
		for id, r := range t.recipes {
			if r.size == 1 && (id < len(t.kinds) && t.kinds[id] == kindByte) == bytes {
				ids = append(ids, int32(id))
			}
		}
	}
	return ids
}

// edge is the symbol at one end of a token and the rank of its first merge plus one.
func (t *Tokenizer) edge(id int32, next func(*recipe) int32) (symbol int32, rank uint32) {
	for r := &t.recipes[id]; r.size > 1; r = &t.recipes[id] {
		id, rank = next(r), r.time
	}
	return id, rank
}
