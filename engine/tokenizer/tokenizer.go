package tokenizer

// None is the id of a token that the tokenizer does not have.
const None int32 = -1

// kind of a token id.
type kind uint8

const (
	kindHole    kind = iota // no token has this id
	kindNormal              // made by merges
	kindAdded               // matched as a whole string
	kindSpecial             // a control token: added, and never made from a user's text
)

// Tokenizer is an immutable byte-level BPE tokenizer, safe for concurrent use.
type Tokenizer struct {
	arena []byte   // the bytes of all tokens, by id
	start []uint32 // token id is arena[start[id]:start[id+1]]
	kinds []kind

	ids      map[string]int32 // bytes → id of what merges can make
	addedIDs map[string]int32 // text → id of added tokens
	byteIDs  [256]int32       // id of each single byte, or None
	merges   pairTable
	whole    bool // a piece that is a token is that token, whatever the merges say

	raw, normalised matcher // added tokens, matched before and after the normaliser
	nfc             bool
	split           []splitter

	bos, eos int32
	prefix   []int32 // what AddBOS puts before a text
}

// VocabSize is one more than the highest token id.
func (t *Tokenizer) VocabSize() int { return len(t.kinds) }

// TokenBytes is the bytes that id decodes to: none for an id without a token. The
// slice is shared and must not be changed.
func (t *Tokenizer) TokenBytes(id int32) []byte {
	if id < 0 || int(id) >= len(t.kinds) {
		return nil
	}
	from, to := t.start[id], t.start[id+1]
	return t.arena[from:to:to]
}

// TokenID finds the token that decodes to s, added tokens first.
func (t *Tokenizer) TokenID(s string) (int32, bool) {
	if id, ok := t.addedIDs[s]; ok {
		return id, true
	}
	id, ok := t.ids[s]
	return id, ok
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
