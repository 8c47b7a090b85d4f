package tokenizer

import (
	"strconv"
	"unicode/utf8"
)

// setChars prepares a SentencePiece vocabulary: every byte must have a token, so that
// no text is unknown to it.
func (t *Tokenizer) setChars(v *vocabulary) error {
	t.pieces = v
	for entry, id := range v.ids {
		b, ok := byteToken(v.name(entry))
		if !ok || t.kinds[id] != kindNormal && t.kinds[id] != kindByte {
			continue
		}
		t.kinds[id] = kindByte
		t.byteIDs[b] = id
	}
	for b, id := range t.byteIDs {
		if id == None {
			return unsupported("a SentencePiece vocabulary without the byte token <0x%02X>: only those with byte fallback are", b)
		}
	}
	return nil
}

// byteToken reads "<0xAB>".
func byteToken[T string | []byte](name T) (byte, bool) {
	if len(name) != 6 || string(name[:3]) != "<0x" || name[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(string(name[3:5]), 16, 8)
	return byte(b), err == nil
}

// symbols appends what s consists of before any merge.
func (t *Tokenizer) symbols(s string, dst []int32) []int32 {
	if !t.chars {
		return bytesToIDs(t, s, dst)
	}
	for len(s) > 0 {
		id, n := t.char(s)
		if id != None {
			dst = append(dst, id)
		} else {
			dst = bytesToIDs(t, s[:n], dst)
		}
		s = s[n:]
	}
	return dst
}

// char is the id of the first character of s, None for one without, and its length.
func (t *Tokenizer) char(s string) (id int32, n int) {
	if s[0] < utf8.RuneSelf {
		return t.ascii[s[0]], 1
	}
	if r, n := utf8.DecodeRuneInString(s); r != utf8.RuneError || n > 1 {
		return t.piece(s[:n]), n
	}
	return None, 1
}

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

// joins is the pairs of bytes that some merge brings together. A SentencePiece text
// is not cut into words; but between two characters that no merge joins, it can be:
// what is left of the place never meets what is right of it.
type joins [256][256 / 64]uint64

func newJoins() *joins { return new(joins) }

func (j *joins) add(left, right byte) { j[left][right>>6] |= 1 << (right & 63) }

func (j *joins) has(left, right byte) bool { return j[left][right>>6]&(1<<(right&63)) != 0 }

// cut is the length of the first part of s that no merge reaches out of.
func (j *joins) cut(s string) int {
	for i := 1; i < len(s); i++ {
		if utf8.RuneStart(s[i]) && !j.has(s[i-1], s[i]) {
			return i
		}
	}
	return len(s)
}
