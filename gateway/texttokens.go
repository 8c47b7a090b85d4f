package gateway

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/nanofleet/nanofleet/wire"
)

// textTokens are tokens as completions show them: parallel lists.
type textTokens struct {
	top     int // alternatives
	byID    bool
	list    []*wire.Logprob
	offsets []int // in characters of the text
	unknown int   // so many at the beginning follow nothing: no logprob is theirs
	at      *int  // where the next token begins
}

// add takes the next tokens of an answer.
func (t *textTokens) add(list []*wire.Logprob) {
	for _, l := range list {
		t.list = append(t.list, l)
		t.offsets = append(t.offsets, *t.at)
		*t.at += characters(l.GetToken())
	}
}

// prompt takes those of a prompt and its text. The text may lack the beginning of what
// its tokens say: a BOS token, or a space that the tokenizer puts before it.
func (t *textTokens) prompt(text string, list []*wire.Logprob) {
	lacks := -len(text)
	for _, l := range list {
		lacks += len(l.GetToken())
	}
	t.list, t.unknown = append(t.list, list...), 1
	come, chars, begins := 0, 0, -max(lacks, 0)
	for _, l := range list {
		to := min(max(begins, 0), len(text))
		chars += characters([]byte(text[come:to]))
		t.offsets = append(t.offsets, chars)
		come = to
		begins += len(l.GetToken())
	}
}

// append appends the lists.
func (t *textTokens) append(b []byte) []byte {
	b = append(b, `{"tokens":[`...)
	for i, l := range t.list {
		b = append(comma(b, i), t.name(l)...)
	}
	b = append(b, `],"token_logprobs":[`...)
	for i, l := range t.list {
		if b = comma(b, i); i < t.unknown {
			b = append(b, "null"...)
		} else {
			b = appendLogprob(b, l.GetLogprob())
		}
	}
	b = append(b, `],"top_logprobs":`...)
	b = t.appendTops(b)
	b = append(b, `,"text_offset":[`...)
	for i, offset := range t.offsets {
		b = strconv.AppendInt(comma(b, i), int64(offset), 10)
	}
	return append(b, "]}"...)
}

// appendTops appends the alternatives of each token, its own among them.
func (t *textTokens) appendTops(b []byte) []byte {
	if t.top == 0 {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, l := range t.list {
		if b = comma(b, i); i < t.unknown {
			b = append(b, "null"...)
		} else {
			b = t.appendTop(b, l)
		}
	}
	return append(b, ']')
}

// appendTop appends one token's alternatives, each name once: different tokens may
// have one text, and the likelier comes first.
func (t *textTokens) appendTop(b []byte, l *wire.Logprob) []byte {
	var names []string
	b = append(b, '{')
	for _, alternative := range append(slices.Clip(l.GetTop()[:min(t.top, len(l.GetTop()))]), l) {
		name := string(t.name(alternative))
		if slices.Contains(names, name) {
			continue
		}
		b = append(append(comma(b, len(names)), name...), ':')
		b = appendLogprob(b, alternative.GetLogprob())
		names = append(names, name)
	}
	return append(b, '}')
}

// name is a token as a JSON string.
func (t *textTokens) name(l *wire.Logprob) []byte {
	if t.byID {
		return appendTokenID(nil, l.GetId())
	}
	return appendTokenText(nil, l.GetToken())
}

// appendTokenText appends a token as completions name it: its text, or its bytes
// in hexadecimal where they are no text of their own.
func appendTokenText(b, token []byte) []byte {
	if utf8.Valid(token) {
		return appendString(b, token)
	}
	name := []byte("bytes:")
	for _, c := range token {
		name = append(name, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
	}
	return appendString(b, name)
}
