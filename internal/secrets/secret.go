package secrets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// KeyPrefix opens every API key.
const KeyPrefix = "sk-nf-"

// keyLetters of 62 kinds hold 256 bits.
const keyLetters = 43

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewKey draws an API key: "sk-nf-" and 43 letters.
func NewKey(rand io.Reader) (string, error) {
	s, err := Text(rand, keyLetters)
	return KeyPrefix + s, err
}

// Text draws n letters, each of the 62 equally likely (5.95 bits each).
func Text(rand io.Reader, n int) (string, error) {
	out := make([]byte, 0, n)
	var b [64]byte
	for len(out) < n {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("secrets: random bytes: %w", err)
		}
		out = appendLetters(out, b[:], n)
	}
	return string(out), nil
}

// appendLetters turns bytes into letters until out holds n. Bytes of the last, partial
// run of 62 are dropped: they would favour the first letters.
func appendLetters(out, b []byte, n int) []byte {
	const whole = 256 / len(alphabet) * len(alphabet)
	for _, v := range b {
		if len(out) == n {
			break
		}
		if int(v) < whole {
			out = append(out, alphabet[int(v)%len(alphabet)])
		}
	}
	return out
}

// Hash is the hex sha256 of the whole secret, prefix included.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Hint shows people which secret is meant: its prefix, two letters and the last four.
// Short secrets show nothing but dots.
func Hint(secret string) string {
	const head, tail = len(KeyPrefix) + 2, 4
	if len(secret) < 2*(head+tail) {
		return "..."
	}
	return secret[:head] + "..." + secret[len(secret)-tail:]
}
