package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Dequantise decodes src, stored as dtype, into dst. src must hold exactly
// len(dst) weights and len(dst) must be a whole number of dtype's blocks. The
// results are those of ggml's reference: every product and sum rounded to float32.
func Dequantise(dtype abi.DType, src []byte, dst []float32) error {
	decode := decoders[dtype]
	if decode == nil {
		return fmt.Errorf("weights: dequantise %v: %w", dtype, ErrType)
	}
	block, size := dtype.Block()
	if len(dst)%block != 0 || len(src) != len(dst)/block*size {
		return fmt.Errorf("weights: dequantise %v: %d bytes for %d weights (blocks of %d in %d bytes): %w",
			dtype, len(src), len(dst), block, size, ErrShape)
	}
	if block == 1 {
		decode(src, dst)
		return nil
	}
	for i := 0; i < len(dst)/block; i++ {
		decode(src[i*size:(i+1)*size], dst[i*block:(i+1)*block])
	}
	return nil
}

// decoders turn one block of bytes into its weights, or any number of them where each
// weight stands alone.
var decoders = map[abi.DType]func(src []byte, dst []float32){
	abi.F32:  decodeF32,
	abi.F16:  decodeF16,
	abi.BF16: decodeBF16,
	abi.Q8_0: decodeQ8x0,
	abi.Q4_0: decodeQ4x0,
	abi.Q4_1: decodeQ4x1,
	abi.Q5_0: decodeQ5x0,
	abi.Q5_1: decodeQ5x1,
	abi.Q2_K: decodeQ2K,
	abi.Q3_K: decodeQ3K,
	abi.Q4_K: decodeQ4K,
	abi.Q5_K: decodeQ5K,
	abi.Q6_K: decodeQ6K,
	abi.E4M3: decodeE4M3,
}

func decodeF32(src []byte, dst []float32) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF16(src []byte, dst []float32) {
	for i := range dst {
		dst[i] = half(src[2*i:])
	}
}

func decodeBF16(src []byte, dst []float32) {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
	}
}

// decodeQ8x0: f16 scale, 32 int8.
func decodeQ8x0(src []byte, dst []float32) {
	scale := half(src)
	for i := range dst {
		dst[i] = scale * float32(int8(src[2+i]))
	}
}

// decodeQ4x0: f16 scale, 16 bytes; the low nibbles are weights 0..15, the high
// ones 16..31, both offset by 8.
func decodeQ4x0(src []byte, dst []float32) {
	scale := half(src)
	for i, b := range src[2:18] {
		dst[i] = scale * float32(int(b&15)-8)
		dst[i+16] = scale * float32(int(b>>4)-8)
	}
}

// decodeQ4x1: f16 scale, f16 minimum, 16 bytes of nibbles as in Q4_0. The outer
// conversion keeps the compiler from fusing multiply and add.
func decodeQ4x1(src []byte, dst []float32) {
	scale, low := half(src), half(src[2:])
	for i, b := range src[4:20] {
		dst[i] = float32(scale*float32(b&15)) + low
		dst[i+16] = float32(scale*float32(b>>4)) + low
	}
}

// decodeQ5x0: f16 scale, 32 high bits, 16 bytes of nibbles as in Q4_0; offset by 16.
func decodeQ5x0(src []byte, dst []float32) {
	scale, high := half(src), binary.LittleEndian.Uint32(src[2:])
	for i, b := range src[6:22] {
		dst[i] = scale * float32(int(uint32(b&15)|high>>i&1<<4)-16)
		dst[i+16] = scale * float32(int(uint32(b>>4)|high>>(i+16)&1<<4)-16)
	}
}

// decodeQ5x1: f16 scale, f16 minimum, 32 high bits, 16 bytes of nibbles.
func decodeQ5x1(src []byte, dst []float32) {
	scale, low, high := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:])
	for i, b := range src[8:24] {
		dst[i] = float32(scale*float32(uint32(b&15)|high>>i&1<<4)) + low
		dst[i+16] = float32(scale*float32(uint32(b>>4)|high>>(i+16)&1<<4)) + low
	}
}

// half reads one IEEE binary16.
func half(src []byte) float32 {
	h := uint32(binary.LittleEndian.Uint16(src))
	sign, exp, frac := h>>15<<31, h>>10&31, h&1023
	switch exp {
	case 0: // zero and subnormals: frac * 2^-24, exact
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 31: // infinities and NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
