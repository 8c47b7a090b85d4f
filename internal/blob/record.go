package blob

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Records of the index. Numbers are big-endian, the first byte is the format.
//
//	blob:    u8 1, u64 size, 32 bytes layout (zero: not known)
//	partial: u8 1, u64 size, u32 chunk size, 32 bytes per chunk
//	pin:     u8 1, i64 last use in Unix milliseconds, 32 bytes per blob
//
// A partial's bitmap is a record of its own, since it changes with every batch: one
// bit per chunk, the lowest of the first byte being chunk 0.
const (
	recordFormat = 1
	blobLen      = 1 + 8 + 32
	partialHead  = 1 + 8 + 4
	pinHead      = 1 + 8
)

type blobRecord struct {
	size   uint64
	layout Sum
}

func (r blobRecord) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{recordFormat}, r.size)
	return append(b, r.layout[:]...)
}

func decodeBlob(b []byte) (r blobRecord, err error) {
	if len(b) != blobLen || b[0] != recordFormat {
		return r, fmt.Errorf("%w: blob record of %d bytes, want %d of format %d", errCorrupt, len(b), blobLen, recordFormat)
	}
	return blobRecord{binary.BigEndian.Uint64(b[1:]), Sum(b[9:])}, nil
}

func encodePartial(f File) []byte {
	b := binary.BigEndian.AppendUint64([]byte{recordFormat}, f.Size)
	return appendSums(binary.BigEndian.AppendUint32(b, f.ChunkSize), f.Chunks)
}

func decodePartial(digest Sum, b []byte) (f File, err error) {
	if len(b) < partialHead || b[0] != recordFormat {
		return f, fmt.Errorf("%w: partial record of %d bytes, want at least %d of format %d", errCorrupt, len(b), partialHead, recordFormat)
	}
	f = File{Digest: Digest(digest), Size: binary.BigEndian.Uint64(b[1:]), ChunkSize: binary.BigEndian.Uint32(b[9:])}
	if f.Chunks, err = readSums(b[partialHead:]); err != nil {
		return f, err
	}
	if _, err := f.check(); err != nil {
		return f, fmt.Errorf("%w: %v", errCorrupt, err)
	}
	return f, nil
}

// Pin holds blobs: while it exists they are not deleted.
type Pin struct {
	Owner string
	Used  time.Time // last use, to the millisecond
	Blobs []string  // digests
}

func encodePin(used time.Time, blobs []Sum) []byte {
	return appendSums(binary.BigEndian.AppendUint64([]byte{recordFormat}, uint64(used.UnixMilli())), blobs)
}

func decodePin(owner string, b []byte) (p Pin, err error) {
	if len(b) < pinHead || b[0] != recordFormat {
		return p, fmt.Errorf("%w: pin record of %d bytes, want at least %d of format %d", errCorrupt, len(b), pinHead, recordFormat)
	}
	sums, err := readSums(b[pinHead:])
	if err != nil {
		return p, err
	}
	p = Pin{Owner: owner, Used: time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:])))}
	for _, s := range sums {
		p.Blobs = append(p.Blobs, Digest(s))
	}
	return p, nil
}

func appendSums(b []byte, sums []Sum) []byte {
	for _, s := range sums {
		b = append(b, s[:]...)
	}
	return b
}

func readSums(b []byte) (sums []Sum, err error) {
	if len(b)%32 != 0 {
		return nil, fmt.Errorf("%w: %d bytes of digests, want a multiple of 32", errCorrupt, len(b))
	}
	for ; len(b) > 0; b = b[32:] {
		sums = append(sums, Sum(b))
	}
	return sums, nil
}

// bitmap of the chunks that are on the disk.
type bitmap []byte

func newBitmap(chunks int) bitmap { return make(bitmap, (chunks+7)/8) }

func (b bitmap) has(n int) bool { return b[n/8]&(1<<(n%8)) != 0 }
func (b bitmap) set(n int)      { b[n/8] |= 1 << (n % 8) }
