package tokenizer

import (
	"runtime"
	"strings"
	"testing"
)

// TestWorkIsLinear counts the merges looked up and the steps of the queue for hostile
// texts: both grow with the text, not with its square. Each character is looked up
// once and twice more for each merge, of which there are fewer than characters.
func TestWorkIsLinear(t *testing.T) {
	const size = 1 << 15
	for _, name := range []string{"smollm2", "small_tekken", "pieces"} {
		tok := anyTokenizer(t, name)
		for kind, text := range hostileTexts(size) {
			l := newLongPiece(tok.ranks)
			l.merge(tok, tok.symbols(text, nil), new(tokens))
			if limit := 3 * len(text); l.work > limit {
				t.Errorf("%s, %s: %d merges looked up for %d bytes, more than %d", name, kind, l.work, len(text), limit)
			}
			if limit := 60 * len(text); l.queue.work > limit {
				t.Errorf("%s, %s: %d steps of the queue for %d bytes, more than %d", name, kind, l.queue.work, len(text), limit)
			}
		}
	}
}

// TestLongWordsLeaveTheScan: what is merged by scanning all pairs is short.
func TestLongWordsLeaveTheScan(t *testing.T) {
	tok := anyTokenizer(t, "pieces")
	e := encoder{t: tok}
	e.word(strings.Repeat("x", shortPiece+1))
	if e.long == nil {
		t.Error("a long word was not merged by blocks")
	}
	var b blocks
	b.tokens(tok, &b.now, make([]int32, blockSize+1))
	if b.queue == nil || b.queue.work == 0 {
		t.Error("a long stretch was not merged by rank")
	}
}

// TestReadingIsLean: a file costs at most four times its size to read.
func TestReadingIsLean(t *testing.T) {
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
