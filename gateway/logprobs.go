package gateway

import (
	"math"
	"strconv"

	"github.com/nanofleet/nanofleet/wire"
)

// leastLogprob stands for the logarithm of zero, which JSON cannot say.
const leastLogprob = -9999

// finite is a logarithm that JSON can say.
func finite(f float32) float32 {
	if !(f >= leastLogprob) { // or no number
		return leastLogprob
	}
	return min(f, math.MaxFloat32)
}

// appendLogprob appends a logarithm.
func appendLogprob(b []byte, f float32) []byte {
	if f = finite(f); f == leastLogprob {
		return append(b, "-9999.0"...)
	}
	return strconv.AppendFloat(b, float64(f), 'f', -1, 32)
}

// appendChatLogprobs appends them as chat answers show them: a list of tokens,
// each with its text, bytes and alternatives.
func appendChatLogprobs(b []byte, list []*wire.Logprob, byID bool) []byte {
	b = append(b, `{"content":[`...)
	for i, l := range list {
		b = comma(b, i)
		b = appendChatToken(b, l, byID)
		b = append(b, `,"top_logprobs":[`...)
		for k, top := range l.GetTop() {
			b = append(appendChatToken(comma(b, k), top, byID), '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, `],"refusal":null}`...)
}

// appendChatToken appends a token's object without its closing brace.
func appendChatToken(b []byte, l *wire.Logprob, byID bool) []byte {
	b = append(b, `{"token":`...)
	if byID {
		b = appendTokenID(b, l.GetId())
	} else {
		b = appendString(b, l.GetToken())
	}
	b = append(b, `,"logprob":`...)
	b = appendLogprob(b, l.GetLogprob())
	b = append(b, `,"bytes":[`...)
	for i, c := range l.GetToken() {
		b = strconv.AppendInt(comma(b, i), int64(c), 10)
	}
	return append(b, ']')
}

// appendPromptLogprobs appends those of a prompt: nothing for its first token, then an
// object for each with the token itself first and the likeliest behind it.
func appendPromptLogprobs(b []byte, list []*wire.Logprob, top int, byID bool) []byte {
	b = append(b, "[null"...)
	for _, l := range list {
		b = append(b, ",{"...)
		b = appendRanked(b, l, int(l.GetRank()), byID)
		for k, t := range l.GetTop()[:min(top, len(l.GetTop()))] {
			if t.GetId() != l.GetId() {
				b = appendRanked(append(b, ','), t, k+1, byID)
			}
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendRanked(b []byte, l *wire.Logprob, rank int, byID bool) []byte {
	b = append(b, '"')
	b = strconv.AppendInt(b, int64(l.GetId()), 10)
	b = append(b, `":{"logprob":`...)
	b = appendLogprob(b, l.GetLogprob())
	b = append(b, `,"rank":`...)
	b = strconv.AppendInt(b, int64(rank), 10)
	b = append(b, `,"decoded_token":`...)
	if byID {
		b = appendTokenID(b, l.GetId())
	} else {
		b = appendString(b, l.GetToken())
	}
	return append(b, '}')
}

func appendTokenID(b []byte, id int32) []byte {
	b = append(b, `"token_id:`...)
	return append(strconv.AppendInt(b, int64(id), 10), '"')
}

// comma separates the i-th item of a list from the one before.
func comma(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ',')
}
