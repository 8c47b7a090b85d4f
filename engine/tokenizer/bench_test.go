package tokenizer

import (
	"strings"
	"testing"
)

// corpora for the benchmarks, each of about 1 MiB.
func corpora(t testing.TB) map[string]string {
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)+1)[:size] }
	texts := goldenStrings(t)
	return map[string]string{
		"prose":   fill("The tokenizer reads a text once, from the left, and cuts it into words before it merges bytes. It doesn't cache anything; 42 times out of 100 that's fine.\n"),
		"code":    fill("func (m *matcher) child(at int32, b byte) int32 {\n\tc := m.nodes[at].child\n\tfor c != 0 && m.nodes[c].b != b {\n\t\tc = m.nodes[c].sibling\n\t}\n\treturn c\n}\n\n"),
		"mixed":   fill(strings.Join(texts, " ")),
		"unspace": fill("abracadabrazephyrquixoticlongword"),
		"same":    fill("a"),
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"smollm2", "qwen3", "llama3"} {
		b.Run(name, func(b *testing.B) {
			tok, err := FromJSON(definition(b, name))
			if err != nil {
				b.Fatal(err)
			}
			for corpus, text := range corpora(b) {
				b.Run(corpus, func(b *testing.B) {
					b.SetBytes(int64(len(text)))
					for b.Loop() {
						tok.Encode(text, EncodeOptions{})
					}
				})
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	texts := corpora(b)
	for name, split := range map[string]splitter{"gpt2": splitGPT2, "llama3": splitLlama3} {
		for _, corpus := range []string{"prose", "mixed"} {
			b.Run(name+"/"+corpus, func(b *testing.B) {
				text := texts[corpus]
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					for s := text; len(s) > 0; s = s[split(s):] {
					}
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	tok := smol(b)
	ids := tok.Encode(corpora(b)["prose"], EncodeOptions{})
	b.SetBytes(int64(len(tok.Decode(ids, DecodeOptions{}))))
	for b.Loop() {
		tok.Decode(ids, DecodeOptions{})
	}
}

func BenchmarkFromJSON(b *testing.B) {
	raw := definition(b, "smollm2")
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := FromJSON(raw); err != nil {
			b.Fatal(err)
		}
	}
}
