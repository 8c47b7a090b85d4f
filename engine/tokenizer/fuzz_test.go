package tokenizer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzFromJSON(f *testing.F) {
	f.Add(tinyJSON(f, nil))
	f.Add(tinyJSON(f, func(file, m object) {
		file["post_processor"], m["ignore_merges"], file["normalizer"] = template(true), true, object{"type": "NFC"}
	}))
	f.Add([]byte(`{"model":{"vocab":{"":0,"a":1},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := FromJSON(b)
		if err != nil {
			return
		}
		const text = "ab <s> e\u0301 123 \x00\xff"
		for _, id := range tok.Encode(text, EncodeOptions{ParseSpecial: true, AddBOS: true}) {
			if id < 0 || int(id) >= tok.VocabSize() {
				t.Fatalf("id %d outside the vocabulary of %d", id, tok.VocabSize())
			}
		}
		for _, id := range tok.Encode(text, EncodeOptions{}) {
			if tok.IsSpecial(id) {
				t.Fatalf("control token %d from a user's text", id)
			}
		}
	})
}

func FuzzEncode(f *testing.F) {
	for _, text := range goldenStrings(f)[:400] {
		f.Add(text)
	}
	f.Add(strings.Repeat("ab", 100))
	tok := smol(f)
	reference := map[string]*Tokenizer{}
	for _, name := range []string{"small_llama", "small_qwen"} {
		t, err := FromJSON(definition(f, name))
		if err != nil {
			f.Fatal(err)
		}
		reference[name] = t
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, id := range tok.Encode(text, EncodeOptions{}) {
			if tok.IsSpecial(id) {
				t.Fatalf("control token %d from a user's text", id)
			}
		}
		var got []byte
		for _, id := range reference["small_llama"].Encode(text, EncodeOptions{}) {
			got = append(got, reference["small_llama"].TokenBytes(id)...)
		}
		if !bytes.Equal(got, []byte(text)) {
			t.Errorf("%+q gives the bytes %+q", text, got)
		}
		if utf8.ValidString(text) && encodable(tok, text) {
			checkRoundTrip(t, tok, text)
		}
		if normal := nfc(text); nfc(normal) != normal {
			t.Errorf("nfc(%+q) is %+q, which is not normal", text, normal)
		}
		reference["small_qwen"].Encode(text, EncodeOptions{ParseSpecial: true})
	})
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("\x01\x00\xff\xff\x20\x00"))
	tok := smol(f)
	for _, text := range goldenStrings(f)[:200] {
		var b bytes.Buffer
		for _, id := range tok.Encode(text, EncodeOptions{ParseSpecial: true}) {
			binary.Write(&b, binary.LittleEndian, uint16(id))
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ids []int32
		for ; len(b) >= 2; b = b[2:] {
			ids = append(ids, int32(binary.LittleEndian.Uint16(b))-1)
		}
		checkStream(t, tok, ids)
	})
}

// checkAny encodes and decodes a few texts with a tokenizer that came from anywhere.
func checkAny(t *testing.T, tok *Tokenizer) {
	t.Helper()
	for _, text := range []string{"", "ab <s> e\u0301 123 \x00\xff", " \u2581a<0x0A>", strings.Repeat("ab", 40)} {
		for _, id := range tok.Encode(text, EncodeOptions{AddBOS: true, ParseSpecial: true}) {
			if id < 0 || int(id) >= tok.VocabSize() {
				t.Fatalf("id %d outside the vocabulary of %d", id, tok.VocabSize())
			}
		}
		ids := tok.Encode(text, EncodeOptions{})
		if n := countControls(tok, ids); n > 0 {
			t.Fatalf("%d control tokens from a user's %q", n, text)
		}
		checkStream(t, tok, ids)
	}
}

func FuzzFromSentencePiece(f *testing.F) {
	f.Add(definition(f, "pieces"))
	f.Add([]byte("\x0a\x05\x0a\x01a\x18\x01\x12\x02\x18\x02\x1a\x02\x20\x00"))
	f.Add([]byte("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tok, err := FromSentencePiece(b); err == nil {
			checkAny(t, tok)
		}
	})
}

// FuzzFromGGUF makes metadata of lines: a type, a score and a token each.
func FuzzFromGGUF(f *testing.F) {
	var all strings.Builder
	all.WriteString("2 0 <unk>\n3 0 <s>\n3 0 </s>\n")
	for b := range 256 {
		fmt.Fprintf(&all, "6 0 <0x%02X>\n", b)
	}
	f.Add(all.String()+"1 -1 \u2581\n1 -2 a\n1 -3 b\n1 -4 ab\n4 0 <think>\n1 NaN x", true, uint32(1))
	f.Add(all.String()+"1 -1 \u2581\n1 -1 a\n1 -1 aa\n1 -1 \u2581a\n5 -1 aaa", false, uint32(7))
	f.Add("1 0 a\n1 0 a", true, uint32(1<<31))
	f.Fuzz(func(t *testing.T, lines string, prefix bool, bos uint32) {
		var tokens []string
		var scores []float32
		var types []int32
		for line := range strings.SplitSeq(lines, "\n") {
			kind, rest, _ := strings.Cut(line, " ")
			score, token, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(kind)
			x, _ := strconv.ParseFloat(score, 32)
			tokens, scores, types = append(tokens, token), append(scores, float32(x)), append(types, int32(n))
		}
		for _, model := range []string{"llama", "gpt2"} {
			tok, err := FromGGUF(map[string]any{
				"tokenizer.ggml.model": model, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": scores,
				"tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": []string{}, "tokenizer.ggml.bos_token_id": bos,
				"tokenizer.ggml.add_space_prefix": prefix,
			})
			if err == nil {
				checkAny(t, tok)
			}
		}
	})
}
