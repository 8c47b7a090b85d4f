package sample

import "math/bits"

// Philox4x32-10 (Salmon et al., 2011): a counter-based generator, so that a draw
// depends on what it is for and not on what was drawn before.
const (
	philoxM0, philoxM1 = 0xD2511F53, 0xCD9E8D57
	philoxW0, philoxW1 = 0x9E3779B9, 0xBB67AE85
	philoxRounds       = 10
)

// philox encrypts counter under key.
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	for range philoxRounds {
		high0, low0 := bits.Mul32(philoxM0, counter[0])
		high1, low1 := bits.Mul32(philoxM1, counter[2])
		counter = [4]uint32{high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0}
		key[0] += philoxW0
		key[1] += philoxW1
	}
	return counter
}

// Uniform is the draw-th number for a position of a choice, at least 0 and below 1,
// a multiple of 2^-24. The key is the seed; the counter is (position, draw, choice,
// 0). A seed and a choice thus have one stream each, whoever computes it.
func Uniform(seed uint64, choice, position, draw uint32) float64 {
	key := [2]uint32{uint32(seed), uint32(seed >> 32)}
	return float64(philox([4]uint32{position, draw, choice, 0}, key)[0]>>8) / (1 << 24)
}
