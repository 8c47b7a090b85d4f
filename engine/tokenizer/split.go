package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitter is one stage of a pre-tokeniser: the length of the first piece of s, which
// is not empty. Repeated over a text it takes time linear in the text.
type splitter func(s string) int

// splitters are the expressions of Split pre-tokenisers that have a scanner.
var splitters = map[string]splitter{
	gpt2Pattern:   splitGPT2,
	gpt2Pattern2:  splitGPT2,
	llamaPattern:  splitLlama3,
	qwenPattern:   splitQwen2,
	tekkenPattern: splitTekken,
}

// splitDigit cuts out every digit on its own.
func splitDigit(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if isDigit(r) {
		return n
	}
	return untilFunc(s, isDigit)
}

// splitDigits cuts out runs of digits.
func splitDigits(s string) int {
	if r, _ := utf8.DecodeRuneInString(s); isDigit(r) {
		return untilFunc(s, func(r rune) bool { return !isDigit(r) })
	}
	return untilFunc(s, isDigit)
}

// untilFunc is the index of the first character of s that stop accepts, or the end.
func untilFunc(s string, stop func(rune) bool) int {
	if i := strings.IndexFunc(s, stop); i >= 0 {
		return i
	}
	return len(s)
}

// splitSigns cuts out runs of [\p{P}$+<=>^~|], the first stage of GGUF's "default".
func splitSigns(s string) int {
	isSign := func(r rune) bool { return unicode.IsPunct(r) || strings.ContainsRune("$+<=>^~|", r) }
	if r, _ := utf8.DecodeRuneInString(s); isSign(r) {
		return untilFunc(s, func(r rune) bool { return !isSign(r) })
	}
	return untilFunc(s, isSign)
}

// splitNumbers cuts out runs of \p{N}, the third stage of GGUF's "default".
func splitNumbers(s string) int {
	if n := run(s, 0, number); n > 0 {
		return n
	}
	return run(s, 0, other|letter|space)
}

// splitTriples cuts out every [0-9][0-9][0-9], the last stage of GGUF's "default".
func splitTriples(s string) int {
	digits := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			digits = 0
			continue
		}
		if digits++; digits == 3 {
			if i == 2 {
				return 3
			}
			return i - 2
		}
	}
	return len(s)
}
