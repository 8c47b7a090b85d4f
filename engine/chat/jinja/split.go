package jinja

import (
	"strings"
	"unicode/utf8"
)

// split is str.split or, from the right, str.rsplit.
func (c *call) split(right bool) (Value, error) {
	limit, err := c.int(2, -1)
	if err != nil {
		return nil, err
	}
	if limit < 0 {
		limit = len(c.self().text) + 1
	}
	switch c.args[1].(type) {
	case nil, None:
		return c.r.splitSpace(c.self(), limit, right)
	}
	sep, err := c.str(1)
	if err != nil {
		return nil, err
	}
	if sep.text == "" {
		return nil, valueError("empty separator")
	}
	return c.r.splitAt(c.self(), sep.text, limit, right)
}

// splitAt cuts s at up to limit separators.
func (r *render) splitAt(s String, sep string, limit int, right bool) (Value, error) {
	n := min(strings.Count(s.text, sep), limit)
	if err := r.step(n); err != nil {
		return nil, err
	}
	parts := make([]Value, 0, n+1)
	low, high := 0, len(s.text)
	for ; limit > 0; limit-- {
		i := cutPlace(s.text[low:high], sep, right)
		if i < 0 {
			break
		}
		if i += low; right {
			parts, high = append(parts, s.slice(i+len(sep), high)), i
		} else {
			parts, low = append(parts, s.slice(low, i)), i+len(sep)
		}
	}
	return collect(append(parts, s.slice(low, high)), right), nil
}

func cutPlace(s, sep string, right bool) int {
	if right {
		return strings.LastIndex(s, sep)
	}
	return strings.Index(s, sep)
}

// collect is the list of parts, turned round if they were cut from the right.
func collect(parts []Value, right bool) *List {
	if right {
		for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
			parts[i], parts[j] = parts[j], parts[i]
		}
	}
	return &List{items: parts}
}

// splitSpace cuts s at up to limit runs of white space.
func (r *render) splitSpace(s String, limit int, right bool) (Value, error) {
	var parts []Value
	for s = s.trim(isSpace, !right, right); s.text != ""; s = s.trim(isSpace, !right, right) {
		if err := r.step(1 + len(s.taint)/costItems); err != nil {
			return nil, err
		}
		i, n := spacePlace(s.text, right)
		if i < 0 || limit == 0 {
			parts = append(parts, s)
			break
		}
		head, tail := s.slice(0, i), s.from(i+n)
		if right {
			head, tail = tail, head
		}
		parts, s = append(parts, head), tail
		limit--
	}
	return collect(parts, right), nil
}

// spacePlace is the first or last white space of s and its length in bytes.
func spacePlace(s string, right bool) (at, n int) {
	if right {
		at = strings.LastIndexFunc(s, isSpace)
	} else {
		at = strings.IndexFunc(s, isSpace)
	}
	if at < 0 {
		return at, 0
	}
	_, n = utf8.DecodeRuneInString(s[at:])
	return at, n
}

// partition is str.partition or, from the right, str.rpartition.
func (c *call) partition(right bool) (Value, error) {
	sep, err := c.str(1)
	if err != nil {
		return nil, err
	}
	if sep.text == "" {
		return nil, valueError("empty separator")
	}
	s := c.self()
	i := cutPlace(s.text, sep.text, right)
	switch {
	case i >= 0:
		return &Tuple{items: []Value{s.slice(0, i), sep, s.from(i + len(sep.text))}}, nil
	case right:
		return &Tuple{items: []Value{String{}, String{}, s}}, nil
	}
	return &Tuple{items: []Value{s, String{}, String{}}}, nil
}

func textSplitLines(c *call) (Value, error) {
	lines, err := c.r.lines(c.self(), c.flag(1, false))
	if err != nil {
		return nil, err
	}
	items := make([]Value, len(lines))
	for i, line := range lines {
		items[i] = line
	}
	return &List{items: items}, nil
}

// lines is splitLines, charged for each before they are made.
func (r *render) lines(s String, keepEnds bool) ([]String, error) {
	n := 0
	for _, c := range s.text {
		if breaksLine(c) {
			n++
		}
	}
	if err := r.step(n); err != nil {
		return nil, err
	}
	return splitLines(s, keepEnds), nil
}

// splitLines is str.splitlines.
func splitLines(s String, keepEnds bool) []String {
	var lines []String
	for low := 0; low < len(s.text); {
		rest := s.text[low:]
		i := strings.IndexFunc(rest, breaksLine)
		if i < 0 {
			return append(lines, s.from(low))
		}
		_, n := utf8.DecodeRuneInString(rest[i:])
		if strings.HasPrefix(rest[i:], "\r\n") {
			n = 2
		}
		end := low + i
		if keepEnds {
			end += n
		}
		lines, low = append(lines, s.slice(low, end)), low+i+n
	}
	return lines
}
