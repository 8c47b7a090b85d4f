package tokenizer

import (
	"math"
	"slices"
)

const (
	// maxID bounds token ids.
	maxID = 1<<22 - 1
	// maxAdded bounds added tokens, of which a file has some thousands at most.
	maxAdded = 1 << 16
	// spareIDs is how many ids may lack a token in a small vocabulary; in a large one
	// half may. One number in a file cannot ask for megabytes.
	spareIDs = 1 << 12
)

// spec is what the file formats are read into.
type spec struct {
	vocab *vocabulary
	kinds []kind // of the vocabulary's entries; nil: kindNormal
	added []addedToken
	chars bool // symbols are characters with byte fallback, not bytes
	whole bool

	mergeCount int
	merges     func(put putMerge) error // calls put for each merge, the best first

	normalisers []normaliser
	metaspace   *metaspace
	split       []splitter
	decoder     decoder

	bos, eos       int32
	prefix, suffix []int32
}

// merge joins two tokens. A lower rank is better; seam is the bytes that meet, as the
// vocabulary writes them.
type merge struct {
	left, right, made int32
	rank              uint32
	seam              [2]byte
}

// putMerge takes a merge into the table.
type putMerge func(m merge) error

// addedToken is a token matched as a whole string.
type addedToken struct {
	ID         int32
	Content    string
	SingleWord bool // not beside a word character
	LStrip     bool // takes the white space before it
	RStrip     bool // takes the white space after it
	Normalized bool // matched in normalised text
	Special    bool // a control token
}

func (s *spec) build() (*Tokenizer, error) {
	t := &Tokenizer{
		whole: s.whole, chars: s.chars, normalisers: s.normalisers, metaspace: s.metaspace, split: s.split,
		decoder: s.decoder, prefix: s.prefix, suffix: s.suffix,
	}
	for _, set := range []func(*spec) error{t.setTokens, t.setSymbols, t.setMerges, t.setMatchers, t.setEnds} {
		if err := set(s); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// setTokens fills the arena and the kinds.
func (t *Tokenizer) setTokens(s *spec) error {
	names, err := t.layout(s)
	if err != nil {
		return err
	}
	t.start = make([]uint32, len(t.kinds)+1)
	t.arena = make([]byte, 0, len(s.vocab.arena)+addedBytes(s.added))
	for id := range t.kinds {
		t.arena = t.appendText(t.arena, names.of(int32(id)), t.kinds[id])
		if len(t.arena) > math.MaxUint32 {
			return malformed("tokens hold over %d bytes", uint32(math.MaxUint32))
		}
		t.start[id+1] = uint32(len(t.arena))
	}
	return nil
}

func addedBytes(added []addedToken) (n int) {
	for _, a := range added {
		n += len(a.Content)
	}
	return n
}

// appendText appends what a token decodes to.
func (t *Tokenizer) appendText(dst []byte, name string, k kind) []byte {
	if t.chars {
		return t.decoder.appendText(dst, name)
	}
	if k == kindNormal {
		if out, ok := appendBytes(dst, name); ok {
			return out
		}
	}
	return append(dst, name...)
}

// names are the written forms of tokens by id.
type names struct {
	all   string   // those of the vocabulary
	start []uint32 // entry i is all[start[i]:start[i+1]]
	added []addedToken
	at    []int32 // by id: an entry plus one, or the complement of an added token's number
}

// of is the written form of id, nothing for one without.
func (n *names) of(id int32) string {
	switch at := n.at[id]; {
	case at < 0:
		return n.added[^at].Content
	case at > 0:
		return n.all[n.start[at-1]:n.start[at]]
	}
	return ""
}

// layout decides the kind and the written form of every id.
func (t *Tokenizer) layout(s *spec) (*names, error) {
	size, err := s.size()
	if err != nil {
		return nil, err
	}
	names := &names{all: string(s.vocab.arena), start: s.vocab.start, added: s.added, at: make([]int32, size)}
	t.kinds = make([]kind, size)
	for entry, id := range s.vocab.ids {
		if t.kinds[id] != kindHole {
			return nil, malformed("tokens %q and %q share id %d", names.of(id), s.vocab.name(entry), id)
		}
		names.at[id], t.kinds[id] = int32(entry)+1, kindNormal
		if s.kinds != nil {
			t.kinds[id] = s.kinds[entry]
		}
	}
	t.added = s.added
	t.addedIDs = make(map[string]int32, len(s.added))
	for i := range s.added {
		if err := t.layoutAdded(names, i, s.vocab); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// size is one more than the highest id.
func (s *spec) size() (int, error) {
	high := int32(-1)
	for entry, id := range s.vocab.ids {
		if id < 0 || id > maxID {
			return 0, malformed("token %q has id %d, outside 0 to %d", s.vocab.name(entry), id, maxID)
		}
		high = max(high, id)
	}
	if len(s.added) > maxAdded {
		return 0, malformed("%d added tokens, more than %d", len(s.added), maxAdded)
	}
	for _, a := range s.added {
		if a.ID < 0 || a.ID > maxID {
			return 0, malformed("added token %q has id %d, outside 0 to %d", a.Content, a.ID, maxID)
		}
		high = max(high, a.ID)
	}
	if tokens := s.vocab.len() + len(s.added); int(high) >= 2*tokens+spareIDs {
		return 0, malformed("highest id is %d where only %d tokens are, most ids would have none", high, tokens)
	}
	return int(high) + 1, nil
}

func (t *Tokenizer) layoutAdded(names *names, i int, vocab *vocabulary) error {
	a := &names.added[i]
	if a.Content == "" {
		return malformed("added token %d is empty", a.ID)
	}
	if id := vocab.findString(a.Content); id != None && id != a.ID {
		return malformed("added token %q has id %d, the vocabulary says %d", a.Content, a.ID, id)
	}
	if t.kinds[a.ID] != kindHole && names.of(a.ID) != a.Content {
		return malformed("tokens %q and %q share id %d", names.of(a.ID), a.Content, a.ID)
	}
	if id, ok := t.addedIDs[a.Content]; ok {
		return malformed("added token %q is given twice, with ids %d and %d", a.Content, id, a.ID)
	}
	names.at[a.ID], t.kinds[a.ID] = ^int32(i), kindAdded
	if a.Special {
		t.kinds[a.ID] = kindSpecial
	}
	t.addedIDs[a.Content] = a.ID
	return nil
}

// setSymbols fills the tables of what a text consists of before merges, and of whole
// pieces. Special tokens are left out: no spelling of a user's may lead to them.
func (t *Tokenizer) setSymbols(s *spec) error {
	for b := range t.byteIDs {
		t.byteIDs[b] = None
	}
	if s.chars {
		return t.setChars(s.vocab)
	}
	t.index = newHashIndex(s.vocab.len())
	var scratch []byte
	for entry, id := range s.vocab.ids {
		if !t.reachable(id) {
			continue
		}
		b, ok := appendBytes(scratch[:0], string(s.vocab.name(entry)))
		if scratch = b; !ok {
			continue
		}
		t.setPiece(b, id)
		if len(b) == 1 {
			t.byteIDs[b[0]] = id
		}
	}
	return nil
}

// reachable says whether merges may make id.
func (t *Tokenizer) reachable(id int32) bool {
	k := t.kinds[id]
	return k == kindNormal || k == kindAdded
}

// setMerges fills the table of merges. A merge that would make a special token is
// left out, for the same reason as in setSymbols.
func (t *Tokenizer) setMerges(s *spec) error {
	t.merges = newPairTable(s.mergeCount)
	t.setRecipes(s.vocab)
	if t.chars {
		t.joins = newJoins()
	}
	var late []merge
	err := s.merges(func(m merge) error {
		if !t.reachable(m.made) {
			return nil
		}
		if t.chars {
			if t.kinds[m.left] == kindByte || t.kinds[m.right] == kindByte {
				return unsupported("merge %d of byte tokens", m.rank)
			}
			t.joins.add(m.seam[0], m.seam[1])
		}
		if !t.merges.put(m.left, m.right, m.rank, m.made) {
			return malformed("merge %d of tokens %d and %d is given twice", m.rank, m.left, m.right)
		}
		if !t.learn(m) {
			late = append(late, m)
		}
		return nil
	})
	t.learnLate(late)
	return err
}

func (t *Tokenizer) setMatchers(s *spec) error {
	t.raw.tokens, t.normalised.tokens = t.added, t.added
	t.raw.reserve(addedBytes(s.added))
	for i := range t.added {
		a := &t.added[i]
		if !a.Normalized {
			t.raw.add(a.Content, i)
			continue
		}
		text := normalise(s.normalisers, a.Content, true)
		if text == "" {
			return malformed("added token %q is nothing once normalised", a.Content)
		}
		t.normalised.add(text, i)
	}
	return nil
}

func (t *Tokenizer) setEnds(s *spec) error {
	t.bos, t.eos = s.bos, s.eos
	for _, id := range slices.Concat([]int32{s.bos, s.eos}, s.prefix, s.suffix) {
		if id != None && (id < 0 || int(id) >= len(t.kinds) || t.kinds[id] == kindHole) {
			return malformed("BOS or EOS id %d is outside the vocabulary of %d", id, len(t.kinds))
		}
	}
	return nil
}
