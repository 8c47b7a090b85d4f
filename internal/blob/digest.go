package blob

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Sum is a SHA-256.
type Sum = [sha256.Size]byte

const digestPrefix = "sha256:"

// ParseDigest reads "sha256:" and 64 lower-case hex digits. Nothing else passes, so a
// digest that parsed can be a file name.
func ParseDigest(digest string) (sum Sum, err error) {
	digits, ok := strings.CutPrefix(digest, digestPrefix)
	if !ok || len(digits) != 2*len(sum) || strings.ToLower(digits) != digits {
		return sum, fmt.Errorf("%w: digest %.80q, want sha256: and 64 lower-case hex digits", ErrInvalid, digest)
	}
	if _, err := hex.Decode(sum[:], []byte(digits)); err != nil {
		return sum, fmt.Errorf("%w: digest %.80q: %v", ErrInvalid, digest, err)
	}
	return sum, nil
}

// Digest writes a sum the way ParseDigest reads it.
func Digest(sum Sum) string { return digestPrefix + hex.EncodeToString(sum[:]) }

// chunkSizeMax bounds the memory that one chunk takes.
const chunkSizeMax = 1 << 30

// File describes a blob before its bytes are here.
type File struct {
	Digest    string
	Size      uint64
	ChunkSize uint32 // bytes; the last chunk may be shorter
	Chunks    []Sum
}

// Equal tells whether both describe the same bytes cut the same way.
func (f File) Equal(o File) bool {
	return f.Digest == o.Digest && f.Size == o.Size && f.ChunkSize == o.ChunkSize && slices.Equal(f.Chunks, o.Chunks)
}

// ChunkRange is where chunk n lies in the file.
func (f File) ChunkRange(n int) (offset, length uint64) {
	offset = uint64(n) * uint64(f.ChunkSize)
	return offset, min(uint64(f.ChunkSize), f.Size-min(offset, f.Size))
}

// check gives the digest's bytes if the description adds up.
func (f File) check() (Sum, error) {
	sum, err := ParseDigest(f.Digest)
	if err != nil {
		return sum, err
	}
	if f.ChunkSize == 0 || f.ChunkSize > chunkSizeMax {
		return sum, fmt.Errorf("%w: %s: chunk size %d, want 1 to %d", ErrInvalid, f.Digest, f.ChunkSize, chunkSizeMax)
	}
	want := f.Size / uint64(f.ChunkSize)
	if f.Size%uint64(f.ChunkSize) != 0 {
		want++
	}
	if f.Size > 1<<62 || uint64(len(f.Chunks)) != want {
		return sum, fmt.Errorf("%w: %s: %d chunks, want %d for %d bytes in chunks of %d",
			ErrInvalid, f.Digest, len(f.Chunks), want, f.Size, f.ChunkSize)
	}
	return sum, nil
}

// layout names a way to cut a file: 32 bytes that stand for size and all chunks.
func (f File) layout() Sum {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, f.Size), f.ChunkSize))
	for _, c := range f.Chunks {
		h.Write(c[:])
	}
	return Sum(h.Sum(nil))
}

// sumFile hashes a file from its beginning.
func sumFile(f *os.File) (sum Sum, err error) {
	h := sha256.New()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return sum, err
	}
	return Sum(h.Sum(nil)), nil
}

func sumPath(path string) (Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	return sumFile(f)
}

// Check tells what does not add up in a description.
func (f File) Check() error {
	_, err := f.check()
	return err
}
