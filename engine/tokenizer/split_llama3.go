package tokenizer

// The expressions of Llama 3 (and GPT-4) and of Qwen 2 and 3; they differ in how many
// digits stay together.
const (
	llamaPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenPattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// splitLlama3 is the first match of llamaPattern, which matches every text.
func splitLlama3(s string) int { return splitWords(s, 3) }

// splitQwen2 is the first match of qwenPattern, which matches every text.
func splitQwen2(s string) int { return splitWords(s, 1) }

func splitWords(s string, digits int) int {
	if s[0] == '\'' {
		if n := contraction(s, true); n > 0 {
			return n
		}
	}
	c, n := classOf(s, 0)
	switch c {
	case letter:
		return run(s, n, letter)
	case number:
		return numbers(s, n, digits)
	}
	if after, m := classOf(s, n); c != newline && after == letter {
		return run(s, n+m, letter)
	} else if c == other || s[0] == ' ' && after == other {
		return run(s, run(s, n, other), newline)
	}
	return splitLines(s)
}

// numbers is the end of up to limit numbers, of which the first ends at i.
func numbers(s string, i, limit int) int {
	for range limit - 1 {
		c, n := classOf(s, i)
		if c != number {
			break
		}
		i += n
	}
	return i
}

// splitLines is \s*[\r\n]+|\s+(?!\S)|\s+ on a text that begins with white space: up
// to the last newline of the run where it has one.
func splitLines(s string) int {
	lines := 0
	for i := 0; ; {
		c, n := classOf(s, i)
		if c&space == 0 {
			break
		}
		if i += n; c == newline {
			lines = i
		}
	}
	if lines > 0 {
		return lines
	}
	return splitSpace(s)
}
