package tokenizer

import (
	"runtime"
	"testing"
)

// TestWorkIsLinear counts what is looked at to find the tokens of a text: bytes of words
// looked up whole, symbols in the trie, tokens tried and pairs looked up. For each hostile text it grows with the text,
// and it is at most seven times that for English of the same size.
func TestWorkIsLinear(t *testing.T) {
	const size = 1 << 14
	small, large := hostileTexts(size), hostileTexts(4*size)
	for _, name := range kindNames {
		t.Run(name, func(t *testing.T) {
			tok := anyTokenizer(t, name)
			plain := work(tok, english(t, size))
			for kind, text := range small {
				got, more := work(tok, text), work(tok, large[kind])
				if got > 7*plain {
					t.Errorf("%s: %.2f looked at for a byte, of English %.2f", kind, got, plain)
				}
				if more > 1.1*got+0.1 {
					t.Errorf("%s: %.2f looked at for each of %d bytes, %.2f for %d", kind, more, 4*size, got, size)
				}
			}
		})
	}
}

// work is what is looked at for a byte of text.
func work(tok *Tokenizer, text string) float64 {
	tok.hasTrie.Do(tok.setTrie)
	e := encoder{t: tok, path: new(path)}
	e.text(joined([]Segment{{text, false}}), false)
	return float64(e.path.work) / float64(len(text))
}

// TestReadingIsLean: a file costs at most four times its size to read.
func TestReadingIsLean(t *testing.T) {
	composites() // once in a process
	for _, name := range append([]string{"small_llama", "pieces_legacy"}, kindNames...) {
		if name == "pieces" || name == "mistral_v3" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw := definition(t, name)
			if got := allocated(func() { FromJSON(raw) }); got > uint64(4*len(raw))+1<<16 {
				t.Errorf("%d bytes for a file of %d: %.1f times", got, len(raw), float64(got)/float64(len(raw)))
			}
		})
	}
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
