package tokenizer

import (
	"encoding/binary"
	"math"
)

// FromSentencePiece reads a tokenizer.model, the protobuf in which SentencePiece keeps
// a model. Only what Llama 2 and Mistral ship is supported: BPE with byte fallback and
// without normalisation. A directory's tokenizer.json says more and goes first.
func FromSentencePiece(b []byte) (*Tokenizer, error) {
	m := pieceModel{prefix: true, squeeze: true, kind: 1, bos: 1, eos: 2}
	if err := m.survey(b); err != nil {
		return nil, err
	}
	s := &spec{bos: m.bos, eos: m.eos, vocab: newVocabulary(m.pieces, m.bytes)}
	if err := m.check(); err != nil {
		return nil, err
	}
	scores := make([]float32, 0, m.pieces)
	err := eachField(b, func(f protoField) error {
		if f.number != 1 {
			return nil
		}
		name, score, kind, err := readPiece(f.bytes)
		if err != nil {
			return err
		}
		scores = append(scores, score)
		return s.addPiece(name, kind)
	})
	if err != nil {
		return nil, err
	}
	s.sentencePiece(m.prefix)
	if err := s.mergeScores(scores); err != nil {
		return nil, err
	}
	if s.bos != None {
		s.prefix = []int32{s.bos}
	}
	return s.build()
}

// pieceModel is what a ModelProto says beside its pieces.
type pieceModel struct {
	pieces, bytes int
	kind          uint64 // unigram 1, bpe 2, word 3, char 4
	prefix        bool   // a space comes before a text
	squeeze       bool   // runs of spaces become one
	suffix        bool   // a word's space stands behind it
	charsmap      int    // bytes of a normalisation table
	bos, eos      int32
}

// survey reads all but the pieces, which it counts.
func (m *pieceModel) survey(b []byte) error {
	return eachField(b, func(f protoField) error {
		switch f.number {
		case 1:
			m.pieces++
			m.bytes += len(f.bytes)
		case 2:
			return eachField(f.bytes, m.trainer)
		case 3:
			return eachField(f.bytes, m.normalizer)
		}
		return nil
	})
}

// trainer reads a field of TrainerSpec.
func (m *pieceModel) trainer(f protoField) error {
	switch f.number {
	case 3:
		m.kind = f.value
	case 24:
		m.suffix = f.value != 0
	case 41:
		m.bos = int32(f.value)
	case 42:
		m.eos = int32(f.value)
	}
	return nil
}

// normalizer reads a field of NormalizerSpec.
func (m *pieceModel) normalizer(f protoField) error {
	switch f.number {
	case 2:
		m.charsmap = len(f.bytes)
	case 3:
		m.prefix = f.value != 0
	case 4:
		m.squeeze = f.value != 0
	case 5:
		if f.value == 0 {
			return unsupported("tokenizer.model with escape_whitespaces off, only on is")
		}
	}
	return nil
}

func (m *pieceModel) check() error {
	kinds := [...]string{"", "unigram", "bpe", "word", "char"}
	switch {
	case m.pieces == 0 || m.pieces > maxID+1:
		return malformed("tokenizer.model has %d pieces, outside 1 to %d", m.pieces, maxID+1)
	case m.kind >= uint64(len(kinds)):
		return unsupported("tokenizer.model of type %d, only bpe (2) is", m.kind)
	case m.kind != 2:
		return unsupported("tokenizer.model of type %s, only bpe is: the model's tokenizer.json may be", kinds[m.kind])
	case m.charsmap > 0:
		return unsupported("tokenizer.model with a precompiled_charsmap of %d bytes, only none is", m.charsmap)
	case m.squeeze:
		return unsupported("tokenizer.model with remove_extra_whitespaces, only false is")
	case m.suffix:
		return unsupported("tokenizer.model with treat_whitespace_as_suffix, only false is")
	}
	return nil
}

// readPiece reads a SentencePiece message.
func readPiece(b []byte) (name []byte, score float32, kind int32, err error) {
	kind = pieceNormal
	err = eachField(b, func(f protoField) error {
		switch f.number {
		case 1:
			name = f.bytes
		case 2:
			score = math.Float32frombits(uint32(f.value))
		case 3:
			kind = int32(min(f.value, math.MaxInt32))
		}
		return nil
	})
	return name, score, kind, err
}

// protoField is one field of a protobuf message.
type protoField struct {
	number uint64
	value  uint64 // of a number
	bytes  []byte // of anything with a length
}

// eachField calls do for each field of a message, in order.
func eachField(b []byte, do func(protoField) error) error {
	for rest := b; len(rest) > 0; {
		f, n, err := readField(rest)
		if err != nil {
			return malformed("protobuf: byte %d of a message of %d: %v", len(b)-len(rest), len(b), err)
		}
		if err := do(f); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// readField reads the field at the head of b and says how long it is.
func readField(b []byte) (f protoField, n int, err error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29 {
		return f, 0, malformed("no field number")
	}
	f.number = tag >> 3
	size := 0
	switch tag & 7 {
	case 0:
		value, m := binary.Uvarint(b[n:])
		if f.value = value; m <= 0 {
			return f, 0, malformed("field %d does not end", f.number)
		}
		return f, n + m, nil
	case 1:
		size = 8
	case 5:
		size = 4
	case 2:
		length, m := binary.Uvarint(b[n:])
		if n += m; m <= 0 || length > uint64(len(b)-n) {
			return f, 0, malformed("field %d has a length of %d, %d bytes are left", f.number, length, len(b)-n)
		}
		f.bytes = b[n : n+int(length)]
		return f, n + int(length), nil
	default:
		return f, 0, malformed("field %d has wire type %d", f.number, tag&7)
	}
	if len(b)-n < size {
		return f, 0, malformed("field %d does not end", f.number)
	}
	for i := range size {
		f.value |= uint64(b[n+i]) << (8 * i)
	}
	return f, n + size, nil
}
