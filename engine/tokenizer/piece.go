package tokenizer

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"
)

// The types of a SentencePiece model's pieces, which GGUF took over.
const (
	pieceNormal  = 1
	pieceUnknown = 2
	pieceControl = 3
	pieceUser    = 4
	pieceUnused  = 5
	pieceByte    = 6
)

// maxPiece is the longest normal piece, in bytes: training makes none beyond 16
// characters or so, and looking for the merges of longer ones would take long.
const maxPiece = 256

// addPiece takes the token of the next id.
func (s *spec) addPiece(name []byte, kind int32) error {
	id := int32(s.vocab.len())
	if !s.vocab.add(name, id) {
		return malformed("tokens %d and %d are both %q", s.vocab.find(name), id, name)
	}
	switch kind {
	case pieceNormal, pieceByte:
		s.kinds = append(s.kinds, kindNormal)
	case pieceUnused:
		s.kinds = append(s.kinds, kindUnused)
	case pieceControl, pieceUnknown, pieceUser:
		s.kinds = append(s.kinds, kindNormal)
		s.added = append(s.added, addedToken{ID: id, Content: string(name), Special: kind != pieceUser})
	default:
		return malformed("token %d %q has type %d, outside 1 to 6", id, name, kind)
	}
	return nil
}

// sentencePiece sets the pipeline of a SentencePiece model: spaces become marks, with
// one before the text.
func (s *spec) sentencePiece(spacePrefix bool) {
	s.chars = true
	s.decoder = decoder{mark: metaspaceMark, bytes: true}
	if spacePrefix {
		s.normalisers = append(s.normalisers, prepend(metaspaceMark))
		s.decoder.strip = 1
	}
	s.normalisers = append(s.normalisers, replace(" ", metaspaceMark))
}

// mergeScores makes the merges that a SentencePiece model leaves unsaid: any two
// pieces that together are a piece, the best score first and, of equal scores, the
// leftmost in the text.
func (s *spec) mergeScores(scores []float32) error {
	ranks, err := ranksOf(scores)
	if err != nil {
		return err
	}
	merges, err := s.splits(ranks)
	if err != nil {
		return err
	}
	slices.SortStableFunc(merges, func(a, b merge) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(len(s.vocab.name(int(a.made))), len(s.vocab.name(int(b.made)))))
	})
	s.mergeCount = len(merges)
	s.merges = func(put putMerge) error {
		for _, m := range merges {
			if err := put(m); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// ranksOf numbers the scores from the highest on; equal ones get one number.
func ranksOf(scores []float32) ([]uint32, error) {
	order := make([]int32, len(scores))
	for i, score := range scores {
		if math.IsNaN(float64(score)) {
			return nil, malformed("score of token %d is not a number", i)
		}
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(scores[b], scores[a]) })
	ranks := make([]uint32, len(scores))
	for i, id := range order {
		if i > 0 {
			ranks[id] = ranks[order[i-1]]
			if scores[id] != scores[order[i-1]] {
				ranks[id]++
			}
		}
	}
	return ranks, nil
}

// splits is every way to put a piece together from two.
func (s *spec) splits(ranks []uint32) ([]merge, error) {
	merges := make([]merge, 0, 2*s.vocab.len())
	special := map[int32]bool{}
	for _, a := range s.added {
		special[a.ID] = true
	}
	for id := range int32(s.vocab.len()) {
		name := s.vocab.name(int(id))
		if _, isByte := byteToken(name); isByte || special[id] {
			continue
		}
		if len(name) > maxPiece && s.kinds[id] == kindNormal {
			return nil, unsupported("token %d of %d bytes, more than %d", id, len(name), maxPiece)
		}
		for i := 1; i < len(name) && len(name) <= maxPiece; i++ {
			if !utf8.RuneStart(name[i]) {
				continue
			}
			left, right := s.vocab.find(name[:i]), s.vocab.find(name[i:])
			if left == None || right == None || special[left] || special[right] {
				continue
			}
			if s.kinds[id] == kindUnused {
				return nil, unsupported("token %d %q of type unused that pieces can make", id, name)
			}
			merges = append(merges, merge{left: left, right: right, made: id, rank: ranks[id], seam: [2]byte{name[i-1], name[i]}})
		}
		if err := s.checkChars(name); err != nil && s.kinds[id] == kindNormal {
			return nil, err
		}
	}
	return merges, nil
}

// checkChars demands that the characters of a piece are pieces: the merges begin with
// them.
func (s *spec) checkChars(name []byte) error {
	for rest := name; len(rest) > 0; {
		_, n := utf8.DecodeRune(rest)
		if s.vocab.find(rest[:n]) == None {
			return unsupported("token %q, whose character %q is no token of its own", name, rest[:n])
		}
		rest = rest[n:]
	}
	return nil
}
