package tokenizer

// The expression of GPT-2, which the ByteLevel pre-tokeniser uses by itself, and the
// form of it that tiktoken writes.
const (
	gpt2Pattern  = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	gpt2Pattern2 = `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
)

// splitGPT2 is the first match of gpt2Pattern, which matches every text.
func splitGPT2(s string) int {
	if s[0] == '\'' {
		if n := contraction(s, false); n > 0 {
			return n
		}
	}
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	if c, n := classOf(s, from); n > 0 && c&space == 0 {
		return run(s, from+n, c)
	}
	return splitSpace(s)
}

// splitSpace is \s+(?!\S)|\s+ on a text that begins with white space: the whole run
// at the end of the text, otherwise all of it but the last character, which belongs
// to what follows; a single one stays alone.
func splitSpace(s string) int {
	last, end := 0, 0
	for {
		c, n := classOf(s, end)
		if c&space == 0 {
			break
		}
		last, end = end, end+n
	}
	if end == len(s) || last == 0 {
		return end
	}
	return last
}

// contraction is the length of 's 't 're 've 'm 'll 'd at the head of s, which begins
// with an apostrophe; 0 for none of them.
func contraction(s string, anyCase bool) int {
	if len(s) < 2 {
		return 0
	}
	a := fold(s[1], anyCase)
	switch a {
	case 's', 't', 'm', 'd':
		return 2
	}
	if anyCase && len(s) >= 3 && s[1:3] == "ſ" { // U+017F folds to s
		return 3
	}
	if len(s) < 3 {
		return 0
	}
	switch b := fold(s[2], anyCase); {
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

// fold lowers an ASCII letter where case does not count.
func fold(b byte, anyCase bool) byte {
	if anyCase && b >= 'A' && b <= 'Z' {
		return b + ('a' - 'A')
	}
	return b
}
