package sample

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// search is the definition: the stop string that ends first beyond the early bytes, the
// longest of those.
func search(text string, early int, stops []string) (before, matched string) {
	for end := early + 1; end <= len(text); end++ {
		for _, stop := range stops {
			if stop != "" && strings.HasSuffix(text[:end], stop) && len(stop) > len(matched) {
				matched = stop
			}
		}
		if matched != "" {
			return text[:end-len(matched)], matched
		}
	}
	return text, ""
}

// couldStop is the longest end of text that begins a stop string.
func couldStop(text string, stops []string) int {
	for n := len(text); n > 0; n-- {
		for _, stop := range stops {
			if n < len(stop) && strings.HasPrefix(stop, text[len(text)-n:]) {
				return n
			}
		}
	}
	return 0
}

// fatal is what *testing.T and *rapid.T share.
type fatal interface{ Fatalf(string, ...any) }

// follow passes the first early pieces and pushes the others, and compares every answer
// with the definition.
func follow(t fatal, pieces []string, early int, stops []string, include bool) {
	s := NewStops(stops, include)
	early = min(early, len(pieces))
	want, stop := search(strings.Join(pieces, ""), len(strings.Join(pieces[:early], "")), stops)
	if include {
		want += stop
	}
	var got, pushed, found string
	ended := false
	for i, piece := range pieces {
		var emit, matched string
		var done bool
		if i < early {
			emit = s.Pass(piece)
		} else {
			emit, matched, done = s.Push(piece)
		}
		got, pushed, found, ended = got+emit, pushed+piece, matched, done
		if hold := couldStop(pushed, stops); !done && len(got) != len(pushed)-hold {
			t.Fatalf("of %q emitted %q, should hold %d bytes; stops %q", pushed, got, hold, stops)
		}
	}
	got += s.Flush()
	if got != want || found != stop || ended != (stop != "") {
		t.Fatalf("pieces %q, stops %q: %q %q %v, want %q %q", pieces, stops, got, found, ended, want, stop)
	}
	if more := s.Flush(); more != "" {
		t.Fatalf("a second flush gave %q", more)
	}
}

func TestStopsMatchTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few letters, so that stop strings overlap with the text and each other.
		piece := rapid.StringMatching(`[abé]{0,6}`)
		stops := rapid.SliceOfN(rapid.StringMatching(`[abé]{0,5}`), 0, 5).Draw(t, "stops")
		follow(t, rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), rapid.IntRange(0, 5).Draw(t, "early"), stops, rapid.Bool().Draw(t, "include"))
	})
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		name        string
		pieces      []string
		stops       []string
		include     bool
		text, match string
	}{
		{"none", []string{"a", "b"}, nil, false, "ab", ""},
		{"an empty stop string is none", []string{"ab"}, []string{""}, false, "ab", ""},
		{"across pieces", []string{"one\n", "\ntwo"}, []string{"\n\n"}, false, "one", "\n\n"},
		{"kept", []string{"one\n", "\ntwo"}, []string{"\n\n"}, true, "one\n\n", "\n\n"},
		{"first to end", []string{"abcd"}, []string{"abcd", "bc"}, false, "a", "bc"},
		{"longest of those", []string{"xabc"}, []string{"c", "abc", "bc"}, false, "x", "abc"},
		{"overlaps itself", []string{"aa", "ab"}, []string{"aab"}, false, "a", "aab"},
		{"a beginning of another", []string{"xa", "bc"}, []string{"abc", "ab"}, false, "x", "ab"},
		{"in the middle of a character", []string{"caf\xc3", "\xa9!"}, []string{"é"}, false, "caf", "é"},
		{"almost", []string{"STO"}, []string{"STOP"}, false, "STO", ""},
	} {
		s := NewStops(c.stops, c.include)
		var text, match string
		for _, p := range c.pieces {
			emit, m, _ := s.Push(p)
			text, match = text+emit, m
		}
		if text += s.Flush(); text != c.text || match != c.match {
			t.Errorf("%s: %q %q, want %q %q", c.name, text, match, c.text, c.match)
		}
	}
}

func TestStopsEndOnce(t *testing.T) {
	s := NewStops([]string{"."}, false)
	s.Push("a.")
	if emit, matched, done := s.Push("b."); emit != "" || matched != "." || !done || s.Flush() != "" {
		t.Errorf("after the end: %q %q %v", emit, matched, done)
	}
}

// TestPassHoldsBeginnings passes a stop string whole, which stops nothing, and the
// beginning of one that ends later, which does.
func TestPassHoldsBeginnings(t *testing.T) {
	s := NewStops([]string{"STOP"}, false)
	if a, b := s.Pass("a STOP b ST"), s.Pass(""); a != "a STOP b " || b != "" {
		t.Errorf("passed %q, %q", a, b)
	}
	if emit, matched, done := s.Push("OP c"); emit != "" || matched != "STOP" || !done {
		t.Errorf("then %q, %q, %v", emit, matched, done)
	}
	if emit := s.Pass("more"); emit != "" {
		t.Errorf("after the end %q", emit)
	}
}

func FuzzStops(f *testing.F) {
	f.Add("one two three", "two", "o t", uint8(3), uint8(0), false)
	f.Add("aaaaab", "aab", "aaab", uint8(1), uint8(3), true)
	f.Fuzz(func(t *testing.T, text, one, two string, size, early uint8, include bool) {
		if len(text) > 512 || len(one)+len(two) > 64 {
			t.Skip("the definition is quadratic")
		}
		var pieces []string
		for n := int(size%16) + 1; len(text) > n; text = text[n:] {
			pieces = append(pieces, text[:n])
		}
		follow(t, append(pieces, text), int(early%8), []string{one, two}, include)
	})
}
