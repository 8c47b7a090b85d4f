package gateway

import (
	"bytes"
	"strings"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// encode turns a rendered conversation into token ids. Control tokens are made
// of trusted text only; between them, text is encoded as one, wherever it came
// from, because merges reach over the seams: the ids are those of the whole text
// wherever no user wrote a control token.
func encode(t *tokenizer.Tokenizer, segments []chat.Segment) []int32 {
	var e promptEncoder
	e.t = t
	for _, s := range segments {
		if s.Trusted {
			e.trusted(s.Text)
		} else {
			e.plain.WriteString(s.Text)
		}
	}
	e.flush()
	return e.ids
}

type promptEncoder struct {
	t     *tokenizer.Tokenizer
	ids   []int32
	plain strings.Builder // text since the last control token
}

// flush encodes the text gathered so far, in which nothing is a control token.
func (e *promptEncoder) flush() {
	if e.plain.Len() > 0 {
		e.ids = append(e.ids, e.t.Encode(e.plain.String(), tokenizer.EncodeOptions{})...)
		e.plain.Reset()
	}
}

// trusted adds template text, of which the tokenizer finds the control tokens.
func (e *promptEncoder) trusted(text string) {
	ids := e.t.Encode(text, tokenizer.EncodeOptions{ParseSpecial: true})
	cuts, ok := e.controls(text, ids)
	if !ok { // a control token took white space with it: encode apart
		e.flush()
		e.ids = append(e.ids, ids...)
		return
	}
	for _, c := range cuts {
		e.plain.WriteString(text[:c.at])
		e.flush()
		e.ids = append(e.ids, c.id)
		text = text[c.at+c.width:]
	}
	e.plain.WriteString(text)
}

// control is a control token at a place of the text behind the one before.
type control struct {
	id        int32
	at, width int
}

// controls finds the places of a text's control tokens; false if the text
// between them is not what was encoded.
func (e *promptEncoder) controls(text string, ids []int32) (cuts []control, ok bool) {
	run := 0
	for i := 0; i <= len(ids); i++ {
		if i < len(ids) && !e.t.IsSpecial(ids[i]) {
			continue
		}
		between := e.decode(ids[run:i])
		if i == len(ids) {
			return cuts, bytes.Equal(between, []byte(text))
		}
		token := e.t.TokenBytes(ids[i])
		if !strings.HasPrefix(text, string(between)) || !strings.HasPrefix(text[len(between):], string(token)) {
			return nil, false
		}
		cuts = append(cuts, control{id: ids[i], at: len(between), width: len(token)})
		text = text[len(between)+len(token):]
		run = i + 1
	}
	return cuts, true
}

// decode is the bytes of ids.
func (e *promptEncoder) decode(ids []int32) []byte {
	var out []byte
	for _, id := range ids {
		out = append(out, e.t.TokenBytes(id)...)
	}
	return out
}
