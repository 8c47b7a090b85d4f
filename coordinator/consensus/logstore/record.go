package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/hashicorp/raft"
)

// ErrCorrupt is returned for a record whose bytes are not those that were written.
var ErrCorrupt = errors.New("corrupt record")

// A log record: u8 format, u8 type, u64 term, i64 time, u32 length of extensions,
// extensions, data, u32 CRC-32C of key and all before. Numbers are big-endian.
const (
	recordFormat = 1
	recordHead   = 1 + 1 + 8 + 8 + 4
	crcSize      = 4
)

// noTime stands for a zero AppendedAt, which is outside the range of nanoseconds.
const noTime = math.MinInt64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// seal appends the CRC of key and record.
func seal(key, record []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, record)
	return binary.BigEndian.AppendUint32(record, sum)
}

// open checks the CRC and takes it off.
func open(key, sealed []byte) ([]byte, error) {
	if len(sealed) < crcSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(sealed))
	}
	record := sealed[:len(sealed)-crcSize]
	want := binary.BigEndian.Uint32(sealed[len(record):])
	if got := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, record); got != want {
		return nil, fmt.Errorf("%w: its CRC is %08x, its bytes give %08x", ErrCorrupt, want, got)
	}
	return record, nil
}

func encodeLog(l *raft.Log) []byte {
	at := int64(noTime)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b := make([]byte, 0, recordHead+len(l.Extensions)+len(l.Data)+crcSize)
	b = append(b, recordFormat, byte(l.Type))
	b = binary.BigEndian.AppendUint64(b, l.Term)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Extensions)))
	b = append(append(b, l.Extensions...), l.Data...)
	return seal(indexKey(l.Index), b)
}

// decodeLog reads the record of an index; l shares no bytes with it.
func decodeLog(index uint64, sealed []byte, l *raft.Log) error {
	b, err := open(indexKey(index), sealed)
	if err != nil {
		return err
	}
	if len(b) < recordHead || b[0] != recordFormat {
		return fmt.Errorf("%w: %d bytes of a format this build does not read (it reads %d)", ErrCorrupt, len(b), recordFormat)
	}
	extensions := int64(binary.BigEndian.Uint32(b[18:]))
	rest := b[recordHead:]
	if extensions > int64(len(rest)) {
		return fmt.Errorf("%w: %d bytes of extensions in %d", ErrCorrupt, extensions, len(rest))
	}
	*l = raft.Log{Index: index, Type: raft.LogType(b[1]), Term: binary.BigEndian.Uint64(b[2:])}
	if at := int64(binary.BigEndian.Uint64(b[10:])); at != noTime {
		l.AppendedAt = time.Unix(0, at)
	}
	l.Extensions = clone(rest[:extensions])
	l.Data = clone(rest[extensions:])
	return nil
}

// clone copies bytes out of the file's mapping; none stay nil.
func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}
