package jinja

import "strings"

// survey counts what a text holds before any of it is kept, and how much is in each
// array and object, so that these are made as large as they become. What is no JSON
// is found by whoever reads it; a comma that no key follows counts for nothing.
func (d *jsonReader) survey() error {
	s := &surveyor{jsonReader: d}
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; c {
		case '"':
			d.at += quoted(d.text[d.at+1:])
			s.nodes++
		case '[', '{':
			s.open = append(s.open, container{len(d.sizes), c == '{'})
			d.sizes = append(d.sizes, 0)
			s.nodes++
		case ']', '}':
			s.open = s.open[:max(len(s.open)-1, 0)]
		case ',':
			s.commas++
			s.more()
		default:
			continue
		}
		if err := s.check(); err != nil {
			return err
		}
	}
	d.at = 0
	return nil
}

// surveyor is where a survey stands.
type surveyor struct {
	*jsonReader
	open          []container
	nodes, commas int
}

// container is an array or object that is open.
type container struct {
	size   int // its place among the sizes
	object bool
}

// more counts an element for the container that is open.
func (s *surveyor) more() {
	if len(s.open) == 0 {
		return
	}
	c := s.open[len(s.open)-1]
	if rest := strings.TrimLeft(s.text[s.at+1:], " \t\r\n"); c.object && !strings.HasPrefix(rest, `"`) {
		return
	}
	s.sizes[c.size]++
}

func (s *surveyor) check() error {
	switch {
	case len(s.open) > MaxJSONDepth+1:
		return s.fail("nested deeper than %d levels", MaxJSONDepth)
	case s.nodes > MaxJSONNodes:
		return s.fail("more than %d strings, keys, arrays and objects", MaxJSONNodes)
	case s.commas >= MaxJSONValues:
		return s.fail("more than %d values", MaxJSONValues)
	}
	return nil
}

// quoted is the length of a string behind its first quote, the last one included.
func quoted(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(s)
}

// size is how many elements the array or object that opens next has, if any.
func (d *jsonReader) size() int {
	n := int(d.sizes[0]) + 1
	d.sizes = d.sizes[1:]
	return n
}

// maxSharedKeys bounds the names that are kept for objects to share.
const maxSharedKeys = 256

// key is a name as a value; objects with the same names share it.
func (d *jsonReader) key(name string) Value {
	if v, ok := d.keys[name]; ok {
		return v
	}
	v := Value(Untrusted(name))
	if len(d.keys) < maxSharedKeys {
		if d.keys == nil {
			d.keys = map[string]Value{}
		}
		d.keys[name] = v
	}
	return v
}
