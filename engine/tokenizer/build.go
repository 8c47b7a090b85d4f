package tokenizer

import "math"

// maxID bounds token ids, so that one number in a file cannot ask for gigabytes.
const maxID = 1<<22 - 1

// spec is what both file formats are read into.
type spec struct {
	vocab  map[string]int32 // in the vocabulary's alphabet
	merges []merge          // best first
	added  []addedToken
	split  []splitter
	nfc    bool
	whole  bool
	bos    int32
	eos    int32
	prefix []int32
}

// merge joins two tokens, named in the vocabulary's alphabet.
type merge struct{ left, right string }

// addedToken is a token matched as a whole string.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not beside a word character
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space after it
	Normalized bool   `json:"normalized"`  // matched in normalised text
	Special    bool   `json:"special"`     // a control token
}

func (s *spec) build() (*Tokenizer, error) {
	t := &Tokenizer{whole: s.whole, nfc: s.nfc, split: s.split, prefix: s.prefix}
	if err := t.setTokens(s); err != nil {
		return nil, err
	}
	if err := t.setMerges(s); err != nil {
		return nil, err
	}
	t.setMatchers(s)
	if err := t.setEnds(s); err != nil {
		return nil, err
	}
	return t, nil
}

// setTokens fills the arena, the kinds and the maps from bytes and text to ids.
func (t *Tokenizer) setTokens(s *spec) error {
	names, err := t.layout(s)
	if err != nil {
		return err
	}
	t.start = make([]uint32, len(names)+1)
	for id, name := range names {
		var inAlphabet bool
		if t.kinds[id] == kindNormal {
			t.arena, inAlphabet = appendBytes(t.arena, name)
		}
		if !inAlphabet {
			t.arena = append(t.arena, name...)
		}
		if len(t.arena) > math.MaxUint32 {
			return malformed("tokens hold over %d bytes", uint32(math.MaxUint32))
		}
		t.start[id+1] = uint32(len(t.arena))
	}
	t.index(names, s.vocab)
	return nil
}

// layout decides the kind and the written form of every id.
func (t *Tokenizer) layout(s *spec) ([]string, error) {
	size := int32(0)
	for name, id := range s.vocab {
		if id < 0 || id > maxID {
			return nil, malformed("token %q has id %d, outside 0 to %d", name, id, maxID)
		}
		size = max(size, id+1)
	}
	for _, a := range s.added {
		if a.ID < 0 || a.ID > maxID {
			return nil, malformed("added token %q has id %d, outside 0 to %d", a.Content, a.ID, maxID)
		}
		size = max(size, a.ID+1)
	}
	names := make([]string, size)
	t.kinds = make([]kind, size)
	for name, id := range s.vocab {
		if t.kinds[id] != kindHole {
			return nil, malformed("tokens %q and %q share id %d", names[id], name, id)
		}
		names[id], t.kinds[id] = name, kindNormal
	}
	t.addedIDs = make(map[string]int32, len(s.added))
	for _, a := range s.added {
		if err := t.layoutAdded(names, a, s.vocab); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (t *Tokenizer) layoutAdded(names []string, a addedToken, vocab map[string]int32) error {
	if a.Content == "" {
		return malformed("added token %d is empty", a.ID)
	}
	if id, ok := vocab[a.Content]; ok && id != a.ID {
		return malformed("added token %q has id %d, the vocabulary says %d", a.Content, a.ID, id)
	}
	if t.kinds[a.ID] != kindHole && names[a.ID] != a.Content {
		return malformed("tokens %q and %q share id %d", names[a.ID], a.Content, a.ID)
	}
	if id, ok := t.addedIDs[a.Content]; ok && id != a.ID {
		return malformed("added token %q has ids %d and %d", a.Content, id, a.ID)
	}
	names[a.ID], t.kinds[a.ID] = a.Content, kindAdded
	if a.Special {
		t.kinds[a.ID] = kindSpecial
	}
	t.addedIDs[a.Content] = a.ID
	return nil
}

// index maps bytes to ids, for what merges can make. Special tokens are left out: no
// spelling of a user's may lead to them.
func (t *Tokenizer) index(names []string, vocab map[string]int32) {
	for b := range t.byteIDs {
		t.byteIDs[b] = None
	}
	t.ids = make(map[string]int32, len(names))
	all := string(t.arena)
	var scratch []byte
	for id, name := range names {
		if _, ok := vocab[name]; !ok || t.kinds[id] == kindSpecial {
			continue
		}
		b, ok := appendBytes(scratch[:0], name)
		if scratch = b; !ok {
			continue
		}
		key := string(b)
		if t.kinds[id] == kindNormal {
			key = all[t.start[id]:t.start[id+1]]
		}
		t.ids[key] = int32(id)
		if len(b) == 1 {
			t.byteIDs[b[0]] = int32(id)
		}
	}
}

// setMerges fills the table of merges. A merge that would make a special token is
// left out, for the same reason as in index.
func (t *Tokenizer) setMerges(s *spec) error {
	t.merges = newPairTable(len(s.merges))
	for rank, m := range s.merges {
		left, okLeft := s.vocab[m.left]
		right, okRight := s.vocab[m.right]
		made, okMade := s.vocab[m.left+m.right]
		if !okLeft || !okRight || !okMade {
			return malformed("merge %d (%q %q) names a token outside the vocabulary", rank, m.left, m.right)
		}
		if t.kinds[made] != kindSpecial {
			t.merges.put(left, right, uint32(rank), made)
		}
	}
	return nil
}

func (t *Tokenizer) setMatchers(s *spec) {
	for _, a := range s.added {
		if !a.Normalized {
			t.raw.add(a.Content, a)
			continue
		}
		text := a.Content
		if s.nfc {
			text = nfc(text)
		}
		t.normalised.add(text, a)
	}
}

func (t *Tokenizer) setEnds(s *spec) error {
	t.bos, t.eos = s.bos, s.eos
	for _, id := range append([]int32{s.bos, s.eos}, s.prefix...) {
		if id != None && (id < 0 || int(id) >= len(t.kinds) || t.kinds[id] == kindHole) {
			return malformed("BOS or EOS id %d is outside the vocabulary of %d", id, len(t.kinds))
		}
	}
	return nil
}
