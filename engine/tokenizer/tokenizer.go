package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync"
	"unicode/utf8"
)

// None is the id of a token that the tokenizer does not have.
const None int32 = -1

// kind of a token id.
type kind uint8

const (
	kindHole    kind = iota // no token has this id
	kindNormal              // made by merges
	kindByte                // one byte of a character that has no token of its own
	kindUnused              // never made
	kindAdded               // matched as a whole string
	kindSpecial             // a control token: added, and never made from a user's text
)

// Tokenizer is an immutable BPE tokenizer, safe for concurrent use.
type Tokenizer struct {
	arena []byte   // the bytes of all tokens, by id
	start []uint32 // token id is arena[start[id]:start[id+1]]
	kinds []kind

	chars    bool                 // symbols are characters with byte fallback, not bytes
	index    hashIndex            // bytes: ids of what merges can make, by their bytes
	odd      map[string]int32     // bytes: the same where an added token's own text differs
	pieces   *vocabulary          // characters: ids by written form
	ascii    [utf8.RuneSelf]int32 // characters: ids of those of one byte, or None
	byteIDs  [256]int32           // id of each single byte, or None
	merges   pairTable
	recipes  []recipe  // by id
	outlines []outline // by id, and the next three: for encoding only
	couples  *couples
	trie     trie // of the tokens with recipes
	hasTrie  sync.Once
	stepwise bool   // words are merged step by step: the trie does not serve
	joins    *joins // characters: between which bytes a merge can reach
	whole    bool   // a piece that is a token is that token, whatever the merges say

	added           []addedToken
	addedIDs        map[string]int32 // text → id of added tokens
	raw, normalised matcher          // added tokens, matched before and after the normaliser
	normalisers     []normaliser
	metaspace       *metaspace
	split           []splitter
	decoder         decoder

	bos, eos       int32
	prefix, suffix []int32 // what AddBOS puts around a text

	paths sync.Pool // of *path
}

// VocabSize is one more than the highest token id.
func (t *Tokenizer) VocabSize() int { return len(t.kinds) }

// TokenBytes is the bytes that id decodes to inside a text: none for an id without a
// token. The slice is shared and must not be changed.
func (t *Tokenizer) TokenBytes(id int32) []byte {
	if id < 0 || int(id) >= len(t.kinds) {
		return nil
	}
	return t.bytesOf(int(id))
}

func (t *Tokenizer) bytesOf(id int) []byte {
	from, to := t.start[id], t.start[id+1]
	return t.arena[from:to:to]
}

// TokenID finds the token that decodes to s, added tokens first.
func (t *Tokenizer) TokenID(s string) (int32, bool) {
	if id, ok := t.addedIDs[s]; ok {
		return id, true
	}
	if t.chars {
		s = strings.ReplaceAll(s, " ", metaspaceMark)
	}
	id := t.piece(s)
	return id, id != None
}

// piece is the token that s, in normalised form, is as a whole; None for none that
// merges may make.
func (t *Tokenizer) piece(s string) int32 {
	if t.chars {
		if id := t.pieces.findString(s); id != None && t.reachable(id) {
			return id
		}
		return None
	}
	if id, ok := t.odd[s]; ok {
		return id
	}
	_, id := probe(&t.index, maphash.String(t.index.seed, s), s, t.bytesOf)
	return int32(id)
}

// setPiece records what b, a token's bytes, leads to.
func (t *Tokenizer) setPiece(b []byte, id int32) {
	if string(t.bytesOf(int(id))) != string(b) {
		if t.odd == nil {
			t.odd = map[string]int32{}
		}
		t.odd[string(b)] = id
		return
	}
	slot, _ := probe(&t.index, maphash.Bytes(t.index.seed, b), b, t.bytesOf)
	t.index.slots[slot] = id + 1
}

// BOS is the id of the token that begins a text, or None.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS is the id of the token that ends a text, or None. A tokenizer.json does not
// name it; the model's configuration does.
func (t *Tokenizer) EOS() int32 { return t.eos }

// IsSpecial says whether id is a control token.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.kinds) && t.kinds[id] == kindSpecial
}
