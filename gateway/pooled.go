package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/nanofleet/nanofleet/wire"
)

// vectors is the sink of pooled sequences.
type vectors struct {
	list [][]float32
}

func (v *vectors) part(i int, p *part) error {
	if p.vector != nil {
		v.list[i] = p.vector
	}
	if p.finished == nil {
		return nil
	}
	_, err := finishReason(p.finished)
	return err
}

func (v *vectors) flush() error { return nil }
func (v *vectors) idle() error  { return nil }

// shorten keeps the vector's first dims values; 0 keeps all.
func shorten(v []float32, dims int) ([]float32, error) {
	if dims > len(v) || len(v) == 0 {
		return nil, fmt.Errorf("gateway: an engine gave a vector of %d values for one of %d", len(v), dims)
	}
	if dims > 0 {
		v = v[:dims]
	}
	if sum := squares(v); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, FromWire(&wire.Error{Code: wire.ErrorCode_ERROR_CODE_NUMERIC, Message: "The model produced values that are no numbers for this input."})
	}
	return v, nil
}

func squares(v []float32) (sum float64) {
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	return sum
}

// unit is the vector scaled to length 1: what is near is then told by a scalar product.
// A vector of zeros stays one.
func unit(v []float32) []float32 {
	out := make([]float32, len(v))
	sum := squares(v)
	if sum == 0 {
		return out
	}
	scale := 1 / math.Sqrt(sum)
	for i, f := range v {
		out[i] = float32(float64(f) * scale)
	}
	return out
}

// appendVector appends the values as JSON numbers, or in base64 as little-endian
// 32-bit floats.
func appendVector(b []byte, v []float32, inBase64 bool) []byte {
	if inBase64 {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, raw)
		return append(b, '"')
	}
	b = append(b, '[')
	for i, f := range v {
		b = strconv.AppendFloat(comma(b, i), float64(f), 'g', -1, 32)
	}
	return append(b, ']')
}
