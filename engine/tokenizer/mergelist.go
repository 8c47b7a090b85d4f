package tokenizer

import "bytes"

// mergeLines sets merges of the form "a b", the best first.
func (s *spec) mergeLines(lines []string) {
	s.mergeCount = len(lines)
	s.merges = func(put putMerge) error {
		r := mergeReader{vocab: s.vocab, put: put}
		for _, line := range lines {
			if err := r.line([]byte(line)); err != nil {
				return err
			}
		}
		return nil
	}
}

// mergeReader looks up the tokens of a list of merges.
type mergeReader struct {
	vocab   *vocabulary
	put     putMerge
	rank    uint32
	scratch []byte
	left    []byte
}

// line takes the next merge, written "a b".
func (r *mergeReader) line(line []byte) error {
	left, right, ok := bytes.Cut(line, []byte(" "))
	if !ok || bytes.IndexByte(right, ' ') >= 0 {
		return malformed("merge %q is not two tokens with a space between", line)
	}
	return r.pair(left, right)
}

// pair takes the next merge by the names of its tokens.
func (r *mergeReader) pair(left, right []byte) error {
	if len(left) == 0 || len(right) == 0 {
		return malformed("merge %d (%q %q) has an empty token", r.rank, left, right)
	}
	r.scratch = append(append(r.scratch[:0], left...), right...)
	m := merge{
		left: r.vocab.find(left), right: r.vocab.find(right), made: r.vocab.find(r.scratch),
		rank: r.rank, seam: [2]byte{left[len(left)-1], right[0]},
	}
	if m.left == None || m.right == None || m.made == None {
		return malformed("merge %d (%q %q) names a token outside the vocabulary", r.rank, left, right)
	}
	r.rank++
	return r.put(m)
}
