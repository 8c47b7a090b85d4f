package tokenizer

import "unicode/utf8"

// recipe says how merging makes a token of its symbols: the last of its merges. A
// symbol is made by no merge.
type recipe struct {
	left, right int32
	rank        uint32 // of the merge plus one; 0 for a symbol
	size        int32  // symbols; 0 for a token that merging never makes
}

// symbol declares that a token is made by no merge.
func (t *Tokenizer) symbol(id int32) { t.recipes[id] = recipe{size: 1} }

// learn takes a merge into the recipes, the best of all merges first and of equals the
// one that makes the shorter token. A token has at most one recipe, for its symbols
// merge in one way only.
func (t *Tokenizer) learn(m merge) {
	left, right := &t.recipes[m.left], &t.recipes[m.right]
	if left.size == 0 || right.size == 0 {
		return
	}
	if ok, _ := t.meet(m.left, m.right, true); ok {
		t.recipes[m.made] = recipe{left: m.left, right: m.right, rank: m.rank + 1, size: left.size + right.size}
	}
}

// ordered says whether all that merging can make has a recipe. It has not where a
// token could only be made by a better merge than one of its parts.
func (t *Tokenizer) ordered() bool {
	for _, s := range t.merges.slots {
		if s.key == noPair {
			continue
		}
		left, right, made := t.recipes[int32(s.key>>32)], t.recipes[int32(uint32(s.key))], t.recipes[int32(uint32(s.found))]
		if left.size > 0 && right.size > 0 && made.size == 0 && uint32(s.found>>32)+1 < max(left.rank, right.rank) {
			return false
		}
	}
	return true
}

// meet says whether two tokens, whose symbols stand beside each other, are both made:
// no merge reaches over their border before. It also says how many pairs were looked up.
//
// Merging takes the best pair of all, the leftmost of equals, and a token's merges
// never get better from one to the next. So the two tokens grow towards their border
// in the order of ranks, the left one first where they are equal. It is followed from
// the end: whichever of the two was made last is taken apart, and the two that lie at
// the border then must not have merged before that. The symbols at the border come
// last, and are left out where they were looked at before.
func (t *Tokenizer) meet(left, right int32, symbolsToo bool) (ok bool, steps int) {
	leftEnd, rightEnd := noRank, noRank
	for l, r := &t.recipes[left], &t.recipes[right]; l.rank|r.rank != 0; steps++ {
		if r.rank >= l.rank {
			right, rightEnd = r.left, r.rank
			r = &t.recipes[right]
		} else {
			left, leftEnd = l.right, l.rank
			l = &t.recipes[left]
		}
		if symbolsToo || l.rank|r.rank != 0 {
			if rank := t.rank(left, right); rank < leftEnd && rank <= rightEnd {
				return false, steps + 1
			}
		}
	}
	return true, steps
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
	if symbols.rank < l.lastRank && symbols.rank <= r.firstRank || !longest && t.rank(left, right) != noRank {
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
	if t.stepwise = nodes > maxNodes*tokens || !t.ordered(); t.stepwise {
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
