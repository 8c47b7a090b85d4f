package tokenizer

import "sort"

// tracked is a text of which some parts are trusted: written by a template, not by
// a user.
type tracked struct {
	text    string
	trusted []stretch // ascending, apart from each other
}

// stretch is text[from:to].
type stretch struct{ from, to int }

// joined is the segments as one text.
func joined(segments []Segment) tracked {
	if len(segments) == 1 {
		x := tracked{text: segments[0].Text}
		x.trust(0, len(x.text), segments[0].Trusted)
		return x
	}
	size := 0
	for _, s := range segments {
		size += len(s.Text)
	}
	b := make([]byte, 0, size)
	var x tracked
	for _, s := range segments {
		b = append(b, s.Text...)
		x.trust(len(b)-len(s.Text), len(b), s.Trusted)
	}
	x.text = string(b)
	return x
}

// trust adds a stretch behind the others.
func (x *tracked) trust(from, to int, trusted bool) {
	if !trusted || from == to {
		return
	}
	if n := len(x.trusted); n > 0 && x.trusted[n-1].to == from {
		x.trusted[n-1].to = to
		return
	}
	x.trusted = append(x.trusted, stretch{from, to})
}

// slice is a part of x.
func (x tracked) slice(from, to int) tracked {
	out := tracked{text: x.text[from:to]}
	i := sort.Search(len(x.trusted), func(i int) bool { return x.trusted[i].to > from })
	for ; i < len(x.trusted) && x.trusted[i].from < to; i++ {
		s := x.trusted[i]
		out.trusted = append(out.trusted, stretch{max(s.from, from) - from, min(s.to, to) - from})
	}
	return out
}

// runs calls do for each part of one origin, in order.
func (x tracked) runs(do func(part string, trusted bool)) {
	at := 0
	for _, s := range x.trusted {
		if s.from > at {
			do(x.text[at:s.from], false)
		}
		do(x.text[s.from:s.to], true)
		at = s.to
	}
	if at < len(x.text) {
		do(x.text[at:], false)
	}
}

// normalised is x after the normaliser, which sees each run by itself: what a user
// writes never changes the template's own characters beside it.
func (x tracked) normalised(stages []normaliser) tracked {
	if len(stages) == 0 {
		return x
	}
	if len(x.trusted) == 0 {
		return tracked{text: normalise(stages, x.text, true)}
	}
	var segments []Segment
	x.runs(func(part string, trusted bool) {
		segments = append(segments, Segment{normalise(stages, part, len(segments) == 0), trusted})
	})
	return joined(segments)
}

// controls are the control tokens of x, which lie in its trusted stretches wholly.
// White space that they take may be a user's.
func (m *matcher) controls(x tracked) (cuts []found) {
	floor := 0
	for _, s := range x.trusted {
		for f := range m.scan(x.text, max(s.from, floor), s.to, floor, true) {
			floor = f.to
			if f.token.Special {
				cuts = append(cuts, f)
			}
		}
	}
	return cuts
}

// sections calls do for what lies between added tokens, and put for each of these.
func (m *matcher) sections(x tracked, do func(part tracked, from int), put func(id int32)) {
	if m.nodes == nil {
		do(x, 0)
		return
	}
	at := 0
	plain := func(to int) {
		for f := range m.scan(x.text, at, to, at, false) {
			if f.from > at {
				do(x.slice(at, f.from), at)
			}
			put(f.token.ID)
			at = f.to
		}
		if at < to {
			do(x.slice(at, to), at)
		}
	}
	for _, c := range m.controls(x) {
		plain(c.from)
		put(c.token.ID)
		at = c.to
	}
	plain(len(x.text))
}
