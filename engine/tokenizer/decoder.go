package tokenizer

import (
	"bytes"
	"strings"
)

// decoder is how tokens become text: the stages that tokenizer files name, as far as
// they differ.
type decoder struct {
	mark       string // written for a space; "" in byte-level vocabularies
	bytes      bool   // <0xAB> is a byte
	strip      int    // spaces that are taken from the head of a text
	stripMarks bool   // the first token loses all its marks
}

// appendText appends what a token decodes to inside a text.
func (d *decoder) appendText(dst []byte, name string) []byte {
	if d.bytes {
		if b, ok := byteToken(name); ok {
			return append(dst, b)
		}
	}
	if d.mark != "" {
		name = strings.ReplaceAll(name, d.mark, " ")
	}
	return append(dst, name...)
}

// head is what a token decodes to at the head of a text, and how many more spaces the
// tokens after it lose.
func (d *decoder) head(text []byte, strip int) (rest []byte, left int) {
	if d.stripMarks {
		return bytes.ReplaceAll(text, []byte(" "), nil), 0
	}
	n := 0
	for n < min(strip, len(text)) && text[n] == ' ' {
		n++
	}
	if n < len(text) {
		return text[n:], 0
	}
	return nil, strip - n
}
