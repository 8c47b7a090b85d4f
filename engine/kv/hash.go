package kv

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash names a prefix: the salt and all tokens up to the end of one full page.
type Hash [sha256.Size]byte

// Root is the hash before a sequence's first page.
func Root(salt []byte) Hash { return sha256.Sum256(salt) }

// Next is the hash of the prefix that page's tokens continue.
func (h Hash) Next(page []int32) Hash {
	b := make([]byte, 0, 512)
	b = append(b, h[:]...)
	for _, token := range page {
		b = binary.LittleEndian.AppendUint32(b, uint32(token))
	}
	return sha256.Sum256(b)
}
