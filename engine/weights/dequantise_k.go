package weights

// K-quants store 256 weights together, in groups that have a small integer scale each
// and, in the types with a minimum, a small integer minimum. The outer conversions keep
// the compiler from fusing multiply and subtract.

// decodeQ2K: 16 bytes of scale and minimum nibbles for groups of 16, 64 bytes of pairs
// of bits, f16 scale, f16 minimum. Each 32 bytes hold four rows of 32 weights, the
// first in the lowest bits.
func decodeQ2K(src []byte, dst []float32) {
	scales, bits := src[:16], src[16:80]
	scale, low := half(src[80:]), half(src[82:])
	for group, s := range scales {
		d, m := scale*float32(s&15), low*float32(s>>4)
		shift, out := group%8/2*2, dst[16*group:][:16]
		for i, b := range bits[group/8*32+group%2*16:][:16] {
			out[i] = float32(d*float32(b>>shift&3)) - m
		}
	}
}

// decodeQ3K: 32 bytes of high bits, 64 bytes of low pairs of bits as in Q2_K, 12 bytes
// of 6-bit scales for groups of 16, f16 scale. A weight whose high bit is not set is
// less by 4.
func decodeQ3K(src []byte, dst []float32) {
	high, bits, scales := src[:32], src[32:96], src[96:108]
	scale := half(src[108:])
	for group := range 16 {
		d := scale * float32(scaleQ3K(scales, group))
		shift, bit := group%8/2*2, group/2
		low, out := bits[group/8*32+group%2*16:][:16], dst[16*group:][:16]
		for i, h := range high[group%2*16:][:16] {
			out[i] = d * float32(int(low[i]>>shift&3|h>>bit&1<<2)-4)
		}
	}
}

// scaleQ3K: eight bytes hold the low four bits of two scales each, the last four the
// high two bits of four each; they are offset by 32.
func scaleQ3K(scales []byte, group int) int {
	low := scales[group%8] >> (group / 8 * 4) & 15
	high := scales[8+group%4] >> (group / 4 * 2) & 3
	return int(low|high<<4) - 32
}

// decodeQ4K: f16 scale, f16 minimum, 12 bytes of 6-bit scales and minima for groups of
// 32, 128 bytes of nibbles: each 32 bytes hold one group in the low ones and the next
// in the high ones.
func decodeQ4K(src []byte, dst []float32) {
	scale, low := half(src), half(src[2:])
	for group := range 8 {
		s, m := scaleQ4K(src[4:16], group)
		d, m32 := scale*float32(s), low*float32(m)
		shift, out := group%2*4, dst[32*group:][:32]
		for i, b := range src[16+group/2*32:][:32] {
			out[i] = float32(d*float32(b>>shift&15)) - m32
		}
	}
}

// scaleQ4K: four bytes of scales, four of minima, each with the high two bits of
// another four above them, and four bytes with the low nibbles of those.
func scaleQ4K(packed []byte, group int) (scale, low byte) {
	if group < 4 {
		return packed[group] & 63, packed[group+4] & 63
	}
	nibbles := packed[group+4]
	return nibbles&15 | packed[group-4]>>6<<4, nibbles>>4 | packed[group]>>6<<4
}

// decodeQ5K: as Q4_K, with 32 bytes before the nibbles that hold each weight's high
// bit, one bit for each group.
func decodeQ5K(src []byte, dst []float32) {
	scale, low := half(src), half(src[2:])
	for group := range 8 {
		s, m := scaleQ4K(src[4:16], group)
		d, m32 := scale*float32(s), low*float32(m)
		high, nibbles := src[16:48], src[48+group/2*32:][:32]
		shift, out := group%2*4, dst[32*group:][:32]
		for i, h := range high {
			out[i] = float32(d*float32(nibbles[i]>>shift&15|h>>group&1<<4)) - m32
		}
	}
}

// decodeQ6K: 128 bytes of low nibbles, 64 bytes of high pairs of bits, 16 int8 scales
// for groups of 16, f16 scale; weights are offset by 32. Each half of the block holds
// four rows of 32: two in the low nibbles of 64 bytes, two in the high ones.
func decodeQ6K(src []byte, dst []float32) {
	scale := half(src[208:])
	for group, s := range src[192:208] {
		d := scale * float32(int8(s))
		row, at := group%8/2, group%2*16
		low := src[group/8*64+row%2*32+at:][:16]
		high := src[128+group/8*32+at:][:16]
		out := dst[16*group:][:16]
		for i, b := range low {
			out[i] = d * float32(int(b>>(row/2*4)&15|high[i]>>(2*row)&3<<4)-32)
		}
	}
}
