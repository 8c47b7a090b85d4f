package tokenizer

import (
	"bytes"
	"encoding/binary"
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
