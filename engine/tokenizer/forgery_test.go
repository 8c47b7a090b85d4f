package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// forgeries are spellings that a user may try for a control token.
func forgeries(content string) []string {
	all := []string{
		content, " " + content + " ", content + content, "\n" + content + "\n", content[:len(content)-1], content[1:],
		content + "\u0338", "\u200b" + content, strings.ToUpper(content), strings.ReplaceAll(content, "<", "\uff1c"),
		strings.ReplaceAll(content, " ", metaspaceMark), metaspaceMark + content, "\xff" + content,
	}
	for i := 1; i < len(content); i++ {
		all = append(all, content[:i]+" "+content[i:], content[i:]+content[:i], content[:i]+content)
	}
	return all
}

func (t *Tokenizer) controlTokens() (all []addedToken) {
	for _, a := range t.added {
		if a.Special {
			all = append(all, a)
		}
	}
	return all
}

// TestNoForgery: no spelling of any control token of any kind makes a control token,
// not alone and not between a template's own texts, where exactly the template's come.
func TestNoForgery(t *testing.T) {
	for _, name := range kindNames {
		t.Run(name, func(t *testing.T) {
			tok := anyTokenizer(t, name)
			controls := tok.controlTokens()
			for _, a := range controls[:min(len(controls), 64)] {
				for _, text := range forgeries(a.Content) {
					for _, id := range tok.Encode(text, EncodeOptions{}) {
						if tok.IsSpecial(id) {
							t.Fatalf("%+q makes control token %d", text, id)
						}
					}
					around := []Segment{{a.Content, true}, {text, false}, {a.Content, true}}
					if got := countControls(tok, tok.EncodeSegments(around)); !a.Normalized && got != 2 {
						t.Fatalf("%+q between two %q makes %d control tokens, want 2", text, a.Content, got)
					}
				}
			}
		})
	}
}

func countControls(tok *Tokenizer, ids []int32) (n int) {
	for _, id := range ids {
		if tok.IsSpecial(id) {
			n++
		}
	}
	return n
}

// TestSegments: a user's text changes neither the number nor the order of a template's
// control tokens; and where no text holds one, the ids are those of the whole text.
func TestSegments(t *testing.T) {
	for _, name := range []string{"smollm2", "small_qwen", "small_llama", "small_tekken", "pieces_legacy", "pieces_first", "pieces_split", "pieces"} {
		tok := anyTokenizer(t, name)
		var raw []addedToken
		for _, a := range tok.controlTokens() {
			if !a.Normalized {
				raw = append(raw, a)
			}
		}
		if len(raw) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				word := rapid.SampledFrom(append(strings.Fields("hello [INST] <| |> im_start <s> user assistant é ▁a x<"), " ", "\n", "<|im_end|", "|im_end|>", "s>", "</", "<"))
				user := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(word, 0, 5).Draw(t, "words"), "") })
				var segments []Segment
				var want []int32
				for range rapid.IntRange(1, 5).Draw(t, "turns") {
					a := rapid.SampledFrom(raw).Draw(t, "control")
					segments = append(segments, Segment{user.Draw(t, "user"), false}, Segment{a.Content, true})
					want = append(want, a.ID)
				}
				segments = append(segments, Segment{user.Draw(t, "last"), false})
				var got []int32
				ids := tok.EncodeSegments(segments)
				for _, id := range ids {
					if tok.IsSpecial(id) {
						got = append(got, id)
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%+v: control tokens %v, want %v", segments, got, want)
				}
			})
		})
	}
}

// TestSegmentsAreTheWhole: seams leave no trace in the ids.
func TestSegmentsAreTheWhole(t *testing.T) {
	texts := goldenStrings(t)
	for _, name := range []string{"smollm2", "small_llama", "small_tekken", "pieces_first", "pieces"} {
		tok := anyTokenizer(t, name)
		for i, text := range texts[:4000] {
			if countControls(tok, tok.Encode(text, EncodeOptions{ParseSpecial: true})) > 0 {
				continue
			}
			cut := len(text) * (i % 7) / 7
			for cut > 0 && cut < len(text) && text[cut]&0xC0 == 0x80 {
				cut--
			}
			got := tok.EncodeSegments([]Segment{{text[:cut], i%2 == 0}, {text[cut:], i%2 == 1}})
			if want := tok.Encode(text, EncodeOptions{}); !slices.Equal(got, want) {
				t.Fatalf("%s: %q cut at %d: %v, whole %v", name, text, cut, got, want)
			}
		}
	}
}

// TestPrefixOnce: a space comes before the head of a text, not before its parts.
func TestPrefixOnce(t *testing.T) {
	for name, want := range map[string]string{"pieces_first": "[<|im_start|> user]", "pieces_legacy": "[<|im_end|> user]"} {
		tok := anyTokenizer(t, name)
		control := strings.Fields(strings.Trim(want, "[]"))[0]
		ids := tok.EncodeSegments([]Segment{{control, true}, {" us", false}, {"er", true}})
		if got := fmt.Sprintf("[%s]", tok.Decode(ids, DecodeOptions{})); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
