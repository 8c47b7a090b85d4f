package gateway

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/nanofleet/nanofleet/wire"
)

// leastLogprob stands for the logarithm of zero, which JSON cannot say.
const leastLogprob = -9999

// appendLogprob appends a logarithm.
func appendLogprob(b []byte, f float32) []byte {
	if f < leastLogprob || math.IsNaN(float64(f)) {
		f = leastLogprob
	}
	return strconv.AppendFloat(b, float64(f), 'f', -1, 32)
}

// appendChatLogprobs appends them as chat answers show them: a list of tokens,
// each with its text, bytes and alternatives.
func appendChatLogprobs(b []byte, list []*wire.Logprob) []byte {
	b = append(b, `{"content":[`...)
	for i, l := range list {
		b = comma(b, i)
		b = appendChatToken(b, l)
		b = append(b, `,"top_logprobs":[`...)
		for k, top := range l.GetTop() {
			b = append(appendChatToken(comma(b, k), top), '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, `],"refusal":null}`...)
}

// appendChatToken appends a token's object without its closing brace.
func appendChatToken(b []byte, l *wire.Logprob) []byte {
	b = append(b, `{"token":`...)
	b = appendString(b, l.GetToken())
	b = append(b, `,"logprob":`...)
	b = appendLogprob(b, l.GetLogprob())
	b = append(b, `,"bytes":[`...)
	for i, c := range l.GetToken() {
		b = strconv.AppendInt(comma(b, i), int64(c), 10)
	}
	return append(b, ']')
}

// appendTextLogprobs appends them as completions show them: parallel lists. The
// first token begins at character offset of the answer.
func appendTextLogprobs(b []byte, list []*wire.Logprob, top, offset int) []byte {
	b = append(b, `{"tokens":[`...)
	for i, l := range list {
		b = appendTokenText(comma(b, i), l.GetToken())
	}
	b = append(b, `],"token_logprobs":[`...)
	for i, l := range list {
		b = appendLogprob(comma(b, i), l.GetLogprob())
	}
	b = append(b, `],"top_logprobs":`...)
	b = appendTops(b, list, top)
	b = append(b, `,"text_offset":[`...)
	for i, l := range list {
		b = strconv.AppendInt(comma(b, i), int64(offset), 10)
		offset += characters(l.GetToken())
	}
	return append(b, "]}"...)
}

// appendTops appends the alternatives of each token, its own among them.
func appendTops(b []byte, list []*wire.Logprob, top int) []byte {
	if top == 0 {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, l := range list {
		b = append(comma(b, i), '{')
		own := false
		for k, t := range l.GetTop() {
			b = appendTop(comma(b, k), t)
			own = own || t.GetId() == l.GetId()
		}
		if !own {
			b = appendTop(comma(b, len(l.GetTop())), l)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendTop(b []byte, l *wire.Logprob) []byte {
	b = append(appendTokenText(b, l.GetToken()), ':')
	return appendLogprob(b, l.GetLogprob())
}

// appendTokenText appends a token as completions name it: its text, or its bytes
// in hexadecimal where they are no text of their own.
func appendTokenText(b, token []byte) []byte {
	if utf8.Valid(token) {
		return appendString(b, token)
	}
	var name bytes.Buffer
	name.WriteString("bytes:")
	for _, c := range token {
		name.WriteString(`\x`)
		name.WriteByte(hexDigits[c>>4])
		name.WriteByte(hexDigits[c&15])
	}
	return appendString(b, name.Bytes())
}

// comma separates the i-th item of a list from the one before.
func comma(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ',')
}
