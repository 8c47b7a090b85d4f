package engine

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// texts hold what splits badly: characters of several bytes, joined ones, halves of
// stop strings and control words of models.
var texts = []string{
	"Hello! How can I help you?", "a\n\nb\n\n\nc", "naïve café", "日本語のテキスト。終わり", "👩‍👩‍👧 and 🇩🇪!",
	"<think>no</think>yes", "STOSTOP STOPP", "aaaaaaab", "ｓｔｏｐ stop", "x\r\n\r\ny",
}

// stopStrings end them, or nearly.
var stopStrings = [][]string{
	nil, {"STOP"}, {"aab", "aaab"}, {"\n\n"}, {"語の", "テ"}, {"👧"}, {"</think>", "<"}, {"é"}, {"never", "help", "hel"}, {"stop", "STO"}, {"\r\n\r"},
}

// byteTokens gives the token of every single byte, and every token of several.
func byteTokens(t *testing.T) (tok *tokenizer.Tokenizer, bytes [256]int32, longer map[string]int32) {
	t.Helper()
	m, err := model.LoadMeta(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	longer = map[string]int32{}
	for id := range int32(tiny.Vocab) {
		switch b := m.Tokenizer.TokenBytes(id); {
		case m.Tokenizer.IsSpecial(id):
		case len(b) == 1:
			bytes[b[0]] = id
		case len(b) > 1:
			longer[string(b)] = id
		}
	}
	return m.Tokenizer, bytes, longer
}

// cut splits a text into tokens: byte by byte, or longer ones where draw says so.
func cut(text string, bytes [256]int32, longer map[string]int32, draw func() bool) (ids []int32) {
	for len(text) > 0 {
		n, id := 1, bytes[text[0]]
		for size := min(8, len(text)); size > 1; size-- {
			if l, ok := longer[text[:size]]; ok && draw() {
				n, id = size, l
				break
			}
		}
		ids, text = append(ids, id), text[n:]
	}
	return ids
}

// whole is the definition: the text that a request gives whose model writes ids. A stop
// string counts when a token beyond the first `early` brings its last byte.
func whole(tok *tokenizer.Tokenizer, ids []int32, r *Request) (text, stop string) {
	s := tok.NewStream(true)
	for i, id := range ids {
		piece := s.Push(id)
		for k := range len(piece) {
			end := text + piece[:k+1]
			for _, candidate := range r.Stop {
				if i+1 > r.MinTokens && strings.HasSuffix(end, candidate) && len(candidate) > len(stop) {
					stop = candidate
				}
			}
			if stop != "" {
				if !r.IncludeStop {
					end = strings.TrimSuffix(end, stop)
				}
				return end, stop
			}
		}
		text += piece
	}
	return text + s.Flush(), ""
}

// stream gives what a sequence sends, piece by piece; after each token that cuts tells
// of, another engine takes over with what is known by then.
func stream(tok *tokenizer.Tokenizer, ids []int32, r Request, cuts func(int) bool) (text, stop string) {
	x, ended := newText(tok, &r, nil)
	done := 0
	for i, id := range ids {
		v := x.push(id, done+1, nil)
		done++
		text += v.text
		if v.stop {
			return text, v.stopString
		}
		if !cuts(i) {
			continue
		}
		r.Prompt, r.Resumed = ids[:i+1], i+1
		if x, ended = newText(tok, &r, nil); ended.stop {
			return text, ended.stopString
		}
	}
	return text + x.end(), ""
}

// TestStreamIsWhole cuts every test text into random tokens, and the sequence at random
// places, under every set of stop strings: what is sent is the whole's text, whichever
// tokens and engines it came by.
func TestStreamIsWhole(t *testing.T) {
	tok, bytes, longer := byteTokens(t)
	for _, text := range texts {
		for _, stops := range stopStrings {
			rapid.Check(t, func(t *rapid.T) {
				ids := cut(text, bytes, longer, func() bool { return rapid.Bool().Draw(t, "longer") })
				if rapid.Bool().Draw(t, "broken off") {
					ids = ids[:len(ids)-1]
				}
				r := Request{Stop: stops, IncludeStop: rapid.Bool().Draw(t, "include"), MinTokens: rapid.IntRange(0, 6).Draw(t, "min_tokens")}
				want, wantStop := whole(tok, ids, &r)
				breaks := rapid.IntRange(0, 3).Draw(t, "breaks")
				got, stop := stream(tok, ids, r, func(int) bool { return breaks > 0 && rapid.IntRange(0, breaks).Draw(t, "break") == 0 })
				if got != want || stop != wantStop {
					t.Fatalf("%q, stops %q, min_tokens %d: sent %q (%q), want %q (%q)", text, stops, r.MinTokens, got, stop, want, wantStop)
				}
			})
		}
	}
}

// TestEverySplit cuts every test text after each byte and after each pair of bytes.
func TestEverySplit(t *testing.T) {
	for _, text := range texts {
		for _, stops := range stopStrings {
			want, wantStop := first(text, stops)
			for i := range len(text) + 1 {
				for k := i; k <= len(text); k++ {
					s, got, stop := sample.NewStops(stops, false), "", ""
					for _, piece := range []string{text[:i], text[i:k], text[k:]} {
						emit, matched, _ := s.Push(piece)
						got, stop = got+emit, matched
					}
					if got += s.Flush(); got != want || stop != wantStop {
						t.Fatalf("%q cut at %d and %d, stops %q: %q (%q), want %q (%q)", text, i, k, stops, got, stop, want, wantStop)
					}
				}
			}
		}
	}
}

// first is a text up to the stop string that ends first, the longest of those.
func first(text string, stops []string) (before, stop string) {
	for end := range len(text) + 1 {
		for _, s := range stops {
			if strings.HasSuffix(text[:end], s) && len(s) > len(stop) {
				stop = s
			}
		}
		if stop != "" {
			return text[:end-len(stop)], stop
		}
	}
	return text, ""
}
