package tokenizer

import "unicode/utf8"

// recipe says how merging makes a token of its symbols: the last of its merges. A
// symbol is made by no merge.
//
// A merge may be better than those that make its parts. It then follows at once when
// the last of them is there, so it happens when that one does: time is the rank of the
// worst merge that was needed.
type recipe struct {
	left, right int32
	time        uint32 // the worst rank plus one; 0 for a symbol
	size        int32  // symbols; 0 for a token that merging never makes
}

// symbol declares that a token is made by no merge.
func (t *Tokenizer) symbol(id int32) { t.recipes[id] = recipe{size: 1} }

// learn takes a merge into the recipes, the best of all merges first and of equals the
// one that makes the shorter token. A token has at most one recipe, for its symbols
// merge in one way only. A merge that is better than one of its parts, or whose parts
// have no recipe yet, is left for learnLate.
func (t *Tokenizer) learn(m merge) (ok bool) {
	left, right := &t.recipes[m.left], &t.recipes[m.right]
	if left.size == 0 || right.size == 0 || max(left.time, right.time) > m.rank+1 {
		return false
	}
	t.admit(m)
	return true
}

// learnLate takes the merges that were left, once all are known.
func (t *Tokenizer) learnLate(late []merge) {
	waiting := map[int32][]merge{} // by the part that has no recipe
	for len(late) > 0 {
		m := late[len(late)-1]
		late = late[:len(late)-1]
		switch {
		case t.recipes[m.made].size > 0:
		case t.recipes[m.left].size == 0:
			waiting[m.left] = append(waiting[m.left], m)
		case t.recipes[m.right].size == 0:
			waiting[m.right] = append(waiting[m.right], m)
		case t.admit(m):
			late = append(late, waiting[m.made]...)
			delete(waiting, m.made)
		}
	}
}

// admit gives a token its recipe if the merge is what its symbols come to.
func (t *Tokenizer) admit(m merge) (ok bool) {
	left, right := &t.recipes[m.left], &t.recipes[m.right]
	if ok, _ = t.meet(m.left, m.right, true); ok {
		t.recipes[m.made] = recipe{left: m.left, right: m.right, time: max(m.rank+1, left.time, right.time), size: left.size + right.size}
	}
	return ok
}

// meet says whether two tokens, whose symbols stand beside each other, are both made:
// no merge reaches over their border before. It also says how many pairs were looked up.
//
// Merging takes the best pair of all, the leftmost of equals. So the two tokens grow
// towards their border in the order of times, the left one first where they are equal.
// It is followed from the end: whichever of the two was made last is taken apart, and
// the two that lie at the border then must not have merged before that. The symbols at
// the border come last, and are left out where they were looked at before.
func (t *Tokenizer) meet(left, right int32, symbolsToo bool) (ok bool, steps int) {
	whole := recipe{time: noRank}
	leftEnd, rightEnd := &whole, &whole // what becomes of the two at the border
	for l, r := &t.recipes[left], &t.recipes[right]; l.time|r.time != 0; steps++ {
		if r.time >= l.time {
			right, rightEnd = r.left, r
			r = &t.recipes[right]
		} else {
			left, leftEnd = l.right, l
			l = &t.recipes[left]
		}
		if symbolsToo || l.time|r.time != 0 {
			rank := t.rank(left, right)
			if time := max(rank, l.time, r.time); rank != noRank && t.beforeLeft(time, rank, l, r, leftEnd) && t.beforeRight(time, rank, r, rightEnd) {
				return false, steps + 1
			}
		}
	}
	return true, steps
}

// beforeLeft says whether the merge over the border comes before the one that takes
// the left token into another. When both come with the left token itself, the better
// one is first; else what lies further left.
func (t *Tokenizer) beforeLeft(time, rank uint32, l, r, end *recipe) bool {
	if time != end.time || l.time < time || r.time == time {
		return time < end.time
	}
	return rank < t.rank(end.left, end.right)
}

// beforeRight is the same for the right token, where the merge over the border is the
// one that lies further left.
func (t *Tokenizer) beforeRight(time, rank uint32, r, end *recipe) bool {
	if time != end.time || r.time < time || t.recipes[end.right].time == time {
		return time <= end.time
	}
	return rank <= t.rank(end.left, end.right)
}

// rank is the rank plus one of the merge of two tokens, or noRank.
func (t *Tokenizer) rank(left, right int32) uint32 {
	if pair := t.merges.find(left, right); pair != noPair {
		return uint32(pair>>32) + 1
	}
	return noRank
}

// apart says whether two tokens stay what they are beside each other. Where the left
// one is the longest of all that the text has there, the two do not merge: what they
// made would be longer, or they never meet.
func (t *Tokenizer) apart(left, right int32, longest bool) (ok bool, steps int) {
	l, r := &t.outlines[left], &t.outlines[right]
	symbols, known := t.couples.of(l.last, r.first)
	if symbols.rank < l.lastTime && symbols.rank <= r.firstTime || !longest && t.rank(left, right) != noRank {
		return false, 1
	}
	ok, steps = t.meet(left, right, !known)
	return ok, steps + 1
}

// spell appends the symbols of a token that has a recipe.
func (t *Tokenizer) spell(id int32, dst []int32) []int32 {
	for t.recipes[id].size > 1 {
		dst = t.spell(t.recipes[id].left, dst)
		id = t.recipes[id].right
	}
	return append(dst, id)
}

// setRecipes declares what a text consists of before merges.
func (t *Tokenizer) setRecipes(v *vocabulary) {
	t.recipes = make([]recipe, len(t.kinds))
	for b := range t.ascii {
		t.ascii[b] = None
	}
	for _, id := range t.byteIDs {
		if id != None {
			t.symbol(id)
		}
	}
	for entry, id := range v.ids {
		name := v.name(entry)
		if !t.chars || !t.reachable(id) || utf8.RuneCount(name) != 1 {
			continue
		}
		if t.symbol(id); len(name) == 1 && name[0] < utf8.RuneSelf {
			t.ascii[name[0]] = id
		}
	}
}

// maxNodes is how many nodes a trie may have for each token: a trained vocabulary has
// three to five.
const maxNodes = 8

// setTrie takes all tokens that have a recipe, before the first text: who only decodes
// needs no trie. A vocabulary that no training would make goes without: its words are
// merged step by step.
func (t *Tokenizer) setTrie() {
	nodes, tokens := 0, 0
	for _, r := range t.recipes {
		if r.size > 1 {
			nodes += int(t.recipes[r.right].size)
			tokens++
		}
	}
	if t.stepwise = nodes > maxNodes*tokens; t.stepwise {
		t.recipes = nil
		return
	}
	t.trie = newTrie(nodes)
	t.setOutlines()
	t.setCouples()
	t.eachSpelling(func(id int32, symbols []int32) { t.learnSpelling(id, symbols) })
	t.eachSpelling(func(id int32, symbols []int32) { t.outlines[id].shorter, _ = t.longest(symbols[:len(symbols)-1]) })
}

// eachSpelling calls do for the symbols of each token that merging makes.
func (t *Tokenizer) eachSpelling(do func(id int32, symbols []int32)) {
	var symbols []int32
	for id, r := range t.recipes {
		if r.size > 1 {
			symbols = t.spell(int32(id), symbols[:0])
			do(int32(id), symbols)
		}
	}
}
