package weights

import (
	"fmt"
	"math"
)

// e4m3 are the values of all bytes: a sign, 4 bits of exponent with a bias of 7, 3 of
// fraction. There is no infinity; all ones are NaN (OCP OFP8).
var e4m3 = func() (table [256]float32) {
	for b := range table {
		exponent, fraction := b>>3&15, float64(b&7)
		value := (8 + fraction) * math.Exp2(float64(exponent-10))
		switch {
		case exponent == 0:
			value = fraction * 0x1p-9
		case b&127 == 127:
			value = math.NaN()
		}
		table[b] = float32(math.Copysign(value, float64(127-b)))
	}
	return table
}()

// decodeE4M3 leaves the scale to Scale.
func decodeE4M3(src []byte, dst []float32) {
	for i, b := range src {
		dst[i] = e4m3[b]
	}
}

// ScaleBlock is how many rows and columns of an E4M3 matrix share a scale where neither
// each row nor the whole matrix has one.
const ScaleBlock = 128

// Scale multiplies a matrix of rows x cols with its scales: one for all, one a row, or
// one for each block of ScaleBlock x ScaleBlock. Every product is rounded to float32.
func Scale(data []float32, rows, cols int, scales []float32, scaleRows, scaleCols int) error {
	high, wide, ok := scaleReach(rows, cols, scaleRows, scaleCols)
	if !ok || len(data) != rows*cols || len(scales) != scaleRows*scaleCols {
		return fmt.Errorf("weights: %d x %d scales for %d x %d weights: want 1 x 1, %d x 1 or %d x %d: %w", scaleRows, scaleCols,
			rows, cols, rows, blocks(rows), blocks(cols), ErrShape)
	}
	for r := range rows {
		row, of := data[r*cols:(r+1)*cols], scales[r/high*scaleCols:]
		for c := range row {
			row[c] *= of[c/wide]
		}
	}
	return nil
}

// scaleReach says how many rows and columns share one scale; ok is false for a shape that
// is none of the three.
func scaleReach(rows, cols, scaleRows, scaleCols int) (high, wide int, ok bool) {
	switch {
	case rows < 1 || cols < 1:
	case scaleRows == 1 && scaleCols == 1:
		return rows, cols, true
	case scaleRows == rows && scaleCols == 1:
		return 1, cols, true
	case scaleRows == blocks(rows) && scaleCols == blocks(cols):
		return ScaleBlock, ScaleBlock, true
	}
	return 0, 0, false
}

func blocks(n int) int { return (n + ScaleBlock - 1) / ScaleBlock }
