package tokenizer

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPathIsTheQueue: the path finds the tokens that merging step by step leaves.
func TestPathIsTheQueue(t *testing.T) {
	const size = 1 << 14
	for _, name := range kindNames {
		t.Run(name, func(t *testing.T) {
			tok := anyTokenizer(t, name)
			tok.hasTrie.Do(tok.setTrie)
			if tok.stepwise {
				t.Fatal("no trie was made")
			}
			var p path
			for kind, text := range hostileTexts(size) {
				want := new(queue).merge(tok, tok.symbols(text, nil), nil)
				if got := p.word(tok, text, nil); !slices.Equal(got, want) {
					t.Errorf("%s: %d tokens by path, %d by queue", kind, len(got), len(want))
				}
			}
		})
	}
}

// TestPathOfAnyMerges: the same for merges that no training would make, whose order
// has nothing to do with their length and which reach over every border.
func TestPathOfAnyMerges(t *testing.T) {
	served := 0
	rapid.Check(t, func(t *rapid.T) {
		tok := drawMerges(t)
		if tok.stepwise {
			return
		}
		served++
		p := path{symbols: drawSymbols(t)}
		want := new(queue).merge(tok, p.symbols, nil)
		if p.search(tok); !slices.Equal(p.tokens, want) {
			t.Fatalf("by path %v, by queue %v", p.tokens, want)
		}
	})
	if served == 0 {
		t.Error("no vocabulary was served by a trie")
	}
}

// TestQueueTakesTheBestPair: against merging as it is told: look at all pairs, join
// the leftmost of the best, begin again.
func TestQueueTakesTheBestPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tok, symbols := drawMerges(t), drawSymbols(t)
		want := slices.Clone(symbols)
		for at, made := bestPair(tok, want); at >= 0; at, made = bestPair(tok, want) {
			want = slices.Replace(want, at, at+2, made)
		}
		if got := new(queue).merge(tok, symbols, nil); !slices.Equal(got, want) {
			t.Fatalf("by queue %v, by looking at all pairs %v", got, want)
		}
	})
}

func bestPair(tok *Tokenizer, ids []int32) (at int, made int32) {
	at, low := -1, uint32(noRank)
	for i := 0; i+1 < len(ids); i++ {
		if pair := tok.merges.find(ids[i], ids[i+1]); uint32(pair>>32) < low {
			at, low, made = i, uint32(pair>>32), int32(uint32(pair))
		}
	}
	return at, made
}

// TestOddVocabularies: merges that come late are found, and a vocabulary whose tokens
// are long beyond measure is merged step by step, with the tokens that it should have.
func TestOddVocabularies(t *testing.T) {
	const tail = `]},"pre_tokenizer":{"type":"ByteLevel"}}`
	for _, c := range []struct {
		name, vocab, merges, text string
		stepwise                  bool
		want                      []int32
	}{
		{"in order", `"a":0,"b":1,"c":2,"ab":3,"abc":4`, `"a b","ab c"`, "abcab", false, []int32{4, 3}},
		{"a part comes later", `"a":0,"b":1,"c":2,"ab":3,"abc":4`, `"ab c","a b"`, "abcab", false, []int32{4, 3}},
		{"a part comes later, another way comes first", `"a":0,"b":1,"c":2,"ab":3,"bc":4,"abc":5`, `"b c","a bc","ab c","a b"`, "abcab", false, []int32{5, 3}},
		{"never made", `"a":0,"b":1,"c":2,"ab":3,"bc":4,"abc":5`, `"b c","a b","ab c"`, "abcab", false, []int32{0, 4, 3}},
		{"long", `"a":0,"b":1,"aa":2,"aaaa":3,"aaaaaaaa":4,"aaaaaaaaaaaaaaaa":5,"baaaaaaaaaaaaaaaa":6,"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":7,"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":8`,
			`"a a","aa aa","aaaa aaaa","aaaaaaaa aaaaaaaa","b aaaaaaaaaaaaaaaa","aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, "baaaaaaaaaaaaaaaaaab", true, []int32{6, 2, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := FromJSON([]byte(`{"model":{"type":"BPE","vocab":{` + c.vocab + `},"merges":[` + c.merges + tail))
			if err != nil {
				t.Fatal(err)
			}
			got := tok.Encode(c.text, EncodeOptions{})
			if tok.stepwise != c.stepwise {
				t.Errorf("merged step by step: %t, want %t", tok.stepwise, c.stepwise)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("ids %v, want %v", got, c.want)
			}
		})
	}
}

// drawMerges is a tokenizer of nothing but merges of tokens 0 to 3 and of what they
// make; some share a rank, and some come before the merges that they need.
func drawMerges(t *rapid.T) *Tokenizer {
	n := rapid.IntRange(1, 40).Draw(t, "merges")
	late := rapid.Bool().Draw(t, "late")
	var merges []merge
	sizes := []int{1, 1, 1, 1}
	ranks := make([]uint32, 4)
	known := map[[2]int32]bool{}
	for range n {
		left := rapid.Int32Range(0, int32(len(sizes)-1)).Draw(t, "left")
		right := rapid.Int32Range(0, int32(len(sizes)-1)).Draw(t, "right")
		rank := rapid.Uint32Range(0, uint32(n)).Draw(t, "rank")
		if !late {
			rank = max(rank, ranks[left], ranks[right])
		}
		if known[[2]int32{left, right}] {
			continue
		}
		known[[2]int32{left, right}] = true
		merges = append(merges, merge{left: left, right: right, rank: rank, made: int32(len(sizes))})
		sizes, ranks = append(sizes, sizes[left]+sizes[right]), append(ranks, rank)
	}
	slices.SortStableFunc(merges, func(a, b merge) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(sizes[a.made], sizes[b.made]))
	})
	tok := &Tokenizer{merges: newPairTable(n), recipes: make([]recipe, len(sizes))}
	for id := range int32(4) {
		tok.symbol(id)
	}
	var left []merge
	for _, m := range merges {
		tok.merges.put(m.left, m.right, m.rank, m.made)
		if !tok.learn(m) {
			left = append(left, m)
		}
	}
	tok.learnLate(left)
	tok.setTrie()
	return tok
}

// drawSymbols is several stretches of tokens 0 to 3, which repeat.
func drawSymbols(t *rapid.T) (out []int32) {
	for range rapid.IntRange(0, 6).Draw(t, "stretches") {
		stretch := rapid.SliceOfN(rapid.Int32Range(0, 3), 1, 40).Draw(t, "stretch")
		for range rapid.IntRange(1, 20).Draw(t, "times") {
			out = append(out, stretch...)
		}
	}
	return out
}
