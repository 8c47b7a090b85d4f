package tokenizer

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestBlocksAreTheWhole: merged by blocks, a word has the tokens that it has merged as
// a whole, and few words are left to that.
func TestBlocksAreTheWhole(t *testing.T) {
	const size = 1 << 14
	for _, name := range []string{"smollm2", "small_llama", "small_qwen", "small_tekken", "pieces_legacy", "pieces"} {
		tok := anyTokenizer(t, name)
		b, whole := new(blocks), newLongPiece(tok.ranks)
		for kind, text := range hostileTexts(size) {
			var want tokens
			whole.merge(tok, tok.symbols(text, nil), &want)
			if got := b.merge(tok, text, nil); !slices.Equal(got, want.ids) {
				t.Errorf("%s, %s: %d tokens by blocks, %d as a whole", name, kind, len(got), len(want.ids))
			}
		}
		if b.whole > 0 {
			t.Errorf("%s: %d texts had to be merged as a whole", name, b.whole)
		}
	}
}

// TestBlocksOfAnyMerges: the same for merges that no training would make, whose order
// has nothing to do with their length and which reach over every border.
func TestBlocksOfAnyMerges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tok := drawMerges(t)
		symbols := drawSymbols(t)
		var want tokens
		newLongPiece(tok.ranks).merge(tok, symbols, &want)
		b := blocks{symbols: symbols}
		if !b.walk(tok) {
			return
		}
		if !slices.Equal(b.out, want.ids) {
			t.Fatalf("by blocks %v, as a whole %v", b.out, want.ids)
		}
	})
}

// TestScanIsTheQueue: both ways to merge a short stretch agree on tokens and places.
func TestScanIsTheQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tok := drawMerges(t)
		symbols := drawSymbols(t)
		symbols = symbols[:min(len(symbols), blockSize)]
		var scanned, queued tokens
		scanned.scan(tok, symbols)
		newLongPiece(tok.ranks).merge(tok, symbols, &queued)
		if !slices.Equal(scanned.ids, queued.ids) || !slices.Equal(scanned.at, queued.at) {
			t.Fatalf("scanned %v, queued %v", scanned, queued)
		}
	})
}

// drawMerges is a tokenizer of nothing but merges of tokens 0 to 3 and of what they
// make; some share a rank.
func drawMerges(t *rapid.T) *Tokenizer {
	n := rapid.IntRange(1, 40).Draw(t, "merges")
	tok := &Tokenizer{merges: newPairTable(n)}
	made := int32(4)
	for range n {
		left := rapid.Int32Range(0, made-1).Draw(t, "left")
		right := rapid.Int32Range(0, made-1).Draw(t, "right")
		rank := rapid.Uint32Range(0, uint32(n)).Draw(t, "rank")
		if tok.merges.put(left, right, rank, made) {
			made++
		}
	}
	tok.ranks = n + 1
	return tok
}

// drawSymbols is several blocks of tokens 0 to 3, of which stretches repeat.
func drawSymbols(t *rapid.T) (out []int32) {
	for range rapid.IntRange(0, 6).Draw(t, "stretches") {
		stretch := rapid.SliceOfN(rapid.Int32Range(0, 3), 1, 40).Draw(t, "stretch")
		for range rapid.IntRange(1, 20).Draw(t, "times") {
			out = append(out, stretch...)
		}
	}
	return out
}
