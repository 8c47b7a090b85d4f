package tokenizer

import (
	"slices"
	"testing"
)

func cut(s string, stages ...splitter) []string {
	if len(stages) == 0 {
		return []string{s}
	}
	var parts []string
	for len(s) > 0 {
		n := stages[0](s)
		parts = append(parts, cut(s[:n], stages[1:]...)...)
		s = s[n:]
	}
	return parts
}

func TestSplitters(t *testing.T) {
	stages := map[string][]splitter{
		"gpt2":    {splitGPT2},
		"llama3":  {splitLlama3},
		"qwen2":   {splitQwen2},
		"digits":  {splitDigits},
		"smollm":  ggufPres["smollm"].split,
		"default": ggufPres["default"].split,
	}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"gpt2", "I'll  go, it'S 12b\t\n x ", []string{"I", "'ll", " ", " go", ",", " it", "'", "S", " 12", "b", "\t\n", " x", " "}},
		{"llama3", "I'LL  go'\u017f 1234\r\n\n (x)\n\n a", []string{"I", "'LL", " ", " go", "'\u017f", " ", "123", "4", "\r\n\n", " (", "x", ")\n\n", " a"}},
		{"qwen2", "12 \u00a0a\n \n  b\xff'", []string{"1", "2", " ", "\u00a0a", "\n \n", " ", " b", "\xff'"}},
		{"llama3", "'", []string{"'"}},
		{"llama3", "'r", []string{"'r"}},
		{"llama3", "'rx've'v", []string{"'rx", "'ve", "'v"}},
		{"digits", "ab12٣c", []string{"ab", "12٣", "c"}},
		{"smollm", "a  12 b", []string{"a", "  ", "1", "2", " b"}},
		{"default", "a==b 12345 c_1", []string{"a", "==", "b", " ", "123", "45", " c", "_", "1"}},
		{"default", "x1234567890", []string{"x", "123", "456", "789", "0"}},
		{"default", "½12", []string{"½12"}},
		{"default", "½123", []string{"½", "123"}},
	} {
		if got := cut(c.text, stages[c.name]...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+q is cut into %+q, want %+q", c.name, c.text, got, c.want)
		}
	}
}

// TestClasses counts Unicode 16's letters and numbers, the reference's.
func TestClasses(t *testing.T) {
	count := map[class]int{}
	for _, c := range classes {
		count[c]++
	}
	for c, want := range map[class]int{letter: 141_028, number: 1_911, blank: 23, newline: 2} {
		if count[c] != want {
			t.Errorf("class %d has %d characters, want %d", c, count[c], want)
		}
	}
	if c, n := classOf("\U000e0041", 0); c != other || n != 4 {
		t.Errorf("a character above the table has class %d and length %d", c, n)
	}
	if !isDigit(0x11de0) || isDigit('a') || isDigit(0x10ffff) {
		t.Error("isDigit does not follow Unicode 17")
	}
}
