package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileFiles: each file is refused with its reason, soon, and without taking
// more memory than a small multiple of its size.
func TestHostileFiles(t *testing.T) {
	const tail = `,"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}}`
	file := func(vocab string) string { return `{"model":{"type":"BPE","vocab":` + vocab + tail }
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	stages := func(n int) string {
		return strings.Repeat(`{"type":"Sequence","pretokenizers":[`, n) + strings.Repeat("]}", n)
	}
	many := func(n int, item func(i int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return strings.Join(items, ",")
	}
	for _, c := range []struct {
		name, text string
		is         error
		says       string
	}{
		{"nothing", "", ErrFormat, "byte 0: want '{'"},
		{"not an object", "[]", ErrFormat, "want '{'"},
		{"more after the end", file(`{"a":0}`) + "x", ErrFormat, "more after the end"},
		{"model twice", `{"model":{},"model":{}}`, ErrFormat, `"model" is given twice`},
		{"vocab twice", `{"model":{"vocab":{"a":0},"vocab":{"a":1}}}`, ErrFormat, `model "vocab" is given twice`},
		{"type twice", `{"model":{"type":"BPE","type":"WordPiece","vocab":{}}}`, ErrFormat, `model "type" is given twice`},
		{"other case", `{"model":{"Type":"BPE","vocab":{"a":0},"merges":[]}}`, ErrUnsupported, `a field "Type"`},
		{"unknown option", `{"model":{"vocab":{"a":0},"merges":[],"min_frequency":2}}`, ErrUnsupported, `"min_frequency"`},
		{"next version", `{"version":"2.0"}`, ErrUnsupported, "version 2.0"},
		{"token twice", file(`{"a":0,"a":1}`), ErrFormat, `token "a" is in the vocabulary twice`},
		{"token twice, escaped", file(`{"a":0,"\u0061":1}`), ErrFormat, `token "a" is in the vocabulary twice`},
		{"id twice", file(`{"a":0,"b":0}`), ErrFormat, "share id 0"},
		{"id of a fraction", file(`{"a":0.5}`), ErrFormat, "0.5 is not a whole number"},
		{"id beyond 64 bits", file(`{"a":99999999999999999999}`), ErrFormat, "not a whole number of 64 bits"},
		{"id beyond 32 bits", file(`{"a":4294967296}`), ErrFormat, "outside 0 to 4194303"},
		{"id of infinity", file(`{"a":1e999}`), ErrFormat, "want a number"},
		{"one id of millions", file(`{"a":4194303}`), ErrFormat, "highest id is 4194303 where only 1 tokens are"},
		{"vocab as a list", file(`[["a",-1.5]]`), ErrUnsupported, "whose vocab is a list"},
		{"no vocab", file(`null`), ErrFormat, "model has no vocab"},
		{"deep values", `{"model":{"type":` + nested(100_000) + "}}", ErrFormat, "nested deeper than 32"},
		{"deep padding", `{"padding":` + nested(100_000) + "}", ErrFormat, "nested deeper than 32"},
		{"deep sequences", `{"pre_tokenizer":` + stages(50_000) + "}", ErrFormat, "nested deeper than 32"},
		{"half a pair", file(`{"\ud800":0}`), ErrFormat, "half of a surrogate pair"},
		{"invalid UTF-8", file("{\"\xff\":0}"), ErrFormat, "not UTF-8"},
		{"a control character", file("{\"\n\":0}"), ErrFormat, "control character"},
		{"unknown escape", file(`{"\x":0}`), ErrFormat, `unknown escape \x`},
		{"trailing comma", file(`{"a":0,}`), ErrFormat, "want a string"},
		{"no end", `{"model":{"vocab":{"a`, ErrFormat, "does not end"},
		{"empty merge", `{"model":{"vocab":{"a":0},"merges":[["","a"]]},"pre_tokenizer":{"type":"ByteLevel"}}`, ErrFormat, "has an empty token"},
		{"merge twice", `{"model":{"vocab":{"a":0,"aa":1},"merges":["a a","a a"]},"pre_tokenizer":{"type":"ByteLevel"}}`, ErrFormat, "is given twice"},
		{"merge of a stranger", `{"model":{"vocab":{"a":0},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"}}`, ErrFormat, "names a token outside"},
		{"slow expression", `{"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[` +
			`{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"},{"type":"ByteLevel"}]}}`, ErrUnsupported, `Split regex "(a+)+$"`},
		{"long expression", `{"model":{"vocab":{"a":0},"merges":[]},"normalizer":{"type":"Replace","pattern":{"Regex":"` +
			strings.Repeat("a|", 100_000) + `"},"content":""}}`, ErrUnsupported, "only a String is"},
		{"stage with an option", `{"model":{"vocab":{"a":0},"merges":[]},"normalizer":{"type":"NFC","lowercase":true}}`, ErrUnsupported, `"lowercase"`},
		{"stage without a type", `{"model":{"vocab":{"a":0},"merges":[]},"normalizer":{"form":"NFC"}}`, ErrFormat, "not an object with a type"},
		{"added twice", `{"added_tokens":[{"id":0,"content":"a"},{"id":1,"content":"a"}],"model":{"vocab":{},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}}`, ErrFormat, "is given twice, with ids 0 and 1"},
		{"added with an option", `{"added_tokens":[{"id":0,"content":"a","regex":true}]}`, ErrUnsupported, `added token field "regex"`},
		{"added without id", `{"added_tokens":[{"content":"a"}]}`, ErrFormat, "without id or content"},
		{"a hundred thousand added", `{"added_tokens":[` + many(100_000, func(i int) string { return fmt.Sprintf(`{"id":%d,"content":"%d"}`, i, i) }) + `]}`, ErrFormat, "added_tokens has 100000 tokens"},
		{"bytes missing", `{"model":{"vocab":{"a":0},"merges":[],"byte_fallback":true},"decoder":{"type":"Metaspace","replacement":"▁"}}`, ErrUnsupported, "without the byte token <0x00>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			from := time.Now()
			size := allocated(func() { _, err = FromJSON([]byte(c.text)) })
			if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("error %.200v, want %v saying %q", err, c.is, c.says)
			}
			if limit := uint64(4*len(c.text) + 1<<16); size > limit {
				t.Errorf("allocated %d bytes for a file of %d", size, len(c.text))
			}
			if took := time.Since(from); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestDenseFilesAreLean: files of nothing but tiny entries, which no model has, cost
// twice that at most.
func TestDenseFilesAreLean(t *testing.T) {
	letters := []rune("!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~")
	var vocab, merges, added []string
	for i, a := range letters {
		vocab = append(vocab, fmt.Sprintf(`"%c":%d`, a, i))
	}
	for _, a := range letters {
		for _, b := range letters {
			vocab = append(vocab, fmt.Sprintf(`"%c%c":%d`, a, b, len(vocab)))
			merges = append(merges, fmt.Sprintf(`"%c %c"`, a, b))
			added = append(added, fmt.Sprintf(`{"id":%d,"content":"%c%c%c"}`, 9000+len(added), a, b, a))
		}
	}
	whole := `{"added_tokens":[%s],"model":{"vocab":{%s},"merges":[%s]},"pre_tokenizer":{"type":"ByteLevel"}}`
	for name, text := range map[string]string{
		"vocab":  fmt.Sprintf(whole, "", strings.Join(vocab, ","), ""),
		"merges": fmt.Sprintf(whole, "", strings.Join(vocab, ","), strings.Join(merges, ",")),
		"added":  fmt.Sprintf(whole, strings.Join(added, ","), strings.Join(vocab, ","), ""),
	} {
		var err error
		size := allocated(func() { _, err = FromJSON([]byte(text)) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if times := float64(size) / float64(len(text)); times > 8 {
			t.Errorf("%s: %.1f times the size of the file, more than 8", name, times)
		}
	}
}
