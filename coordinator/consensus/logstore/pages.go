package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt's page: u64 id, u16 flags, u16 count, u32 overflow, then count elements of 16
// bytes, in the byte order of the machine.
const (
	pageHead    = 16
	elementSize = 16
	bucketHead  = 16
	branchPage  = 1
	leafPage    = 2
	bucketEntry = 1
)

// pages checks the tree of pages by plain reads. bbolt's own check runs in a goroutine
// of its own, where a fault over a damaged offset cannot be recovered from.
type pages struct {
	file *os.File
	size uint64
	end  uint64 // the first page number that is not in use
	seen map[uint64]bool
}

// element is one entry of a page; child is the page of a branch's entry.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

// checkPages gives the first broken page that can be reached from the root.
func checkPages(tx *bbolt.Tx) (err error) {
	f, err := os.Open(tx.DB().Path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size := uint64(tx.DB().Info().PageSize)
	p := &pages{file: f, size: size, end: uint64(tx.Size()) / size, seen: map[uint64]bool{}}
	return p.check(uint64(tx.Cursor().Bucket().Root()), nil, nil)
}

// check checks the page id and all below it: their keys are at least low and below high.
func (p *pages) check(id uint64, low, high []byte) error {
	page, err := p.read(id)
	if err != nil {
		return err
	}
	list, err := elements(page)
	if err == nil {
		err = ordered(list, low, high)
	}
	if err != nil {
		return fmt.Errorf("%w: page %d: %w", ErrCorrupt, id, err)
	}
	for i, e := range list {
		if err := p.below(list, i, e, high); err != nil {
			return err
		}
	}
	return nil
}

// below follows what element i of a page points at, if anything.
func (p *pages) below(list []element, i int, e element, high []byte) error {
	switch {
	case e.child != 0:
		if i+1 < len(list) {
			high = list[i+1].key
		}
		return p.check(e.child, e.key, high)
	case e.bucket:
		return p.bucket(e)
	}
	return nil
}

// bucket checks the bucket whose head is an element's value.
func (p *pages) bucket(e element) error {
	if len(e.value) < bucketHead {
		return fmt.Errorf("%w: bucket %q: head of %d bytes", ErrCorrupt, e.key, len(e.value))
	}
	if root := binary.NativeEndian.Uint64(e.value); root != 0 {
		return p.check(root, nil, nil)
	}
	list, err := elements(e.value[bucketHead:])
	if err == nil {
		err = ordered(list, nil, nil)
	}
	if err != nil {
		return fmt.Errorf("%w: bucket %q: %w", ErrCorrupt, e.key, err)
	}
	return nil
}

// read gives a page with its overflow, which nothing else may have referred to.
func (p *pages) read(id uint64) ([]byte, error) {
	if id < 2 || id >= p.end {
		return nil, fmt.Errorf("%w: page %d is outside 2 to %d", ErrCorrupt, id, p.end-1)
	}
	head := make([]byte, pageHead)
	if _, err := p.file.ReadAt(head, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", ErrCorrupt, id, err)
	}
	if own := binary.NativeEndian.Uint64(head); own != id {
		return nil, fmt.Errorf("%w: page %d says it is %d", ErrCorrupt, id, own)
	}
	n := uint64(binary.NativeEndian.Uint32(head[12:])) + 1
	if n > p.end-id {
		return nil, fmt.Errorf("%w: page %d spans %d pages, %d are left", ErrCorrupt, id, n, p.end-id)
	}
	for i := id; i < id+n; i++ {
		if p.seen[i] {
			return nil, fmt.Errorf("%w: page %d is referred to twice", ErrCorrupt, i)
		}
		p.seen[i] = true
	}
	page := make([]byte, n*p.size)
	if _, err := p.file.ReadAt(page, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", ErrCorrupt, id, err)
	}
	return page, nil
}

// elements reads the entries of a page.
func elements(page []byte) ([]element, error) {
	if len(page) < pageHead {
		return nil, fmt.Errorf("%d bytes", len(page))
	}
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage {
		return nil, fmt.Errorf("flags are %#x", flags)
	}
	if pageHead+count*elementSize > len(page) || flags == branchPage && count == 0 {
		return nil, fmt.Errorf("%d elements in %d bytes", count, len(page))
	}
	list := make([]element, count)
	for i := range list {
		var err error
		if list[i], err = readElement(page[pageHead+i*elementSize:], flags == leafPage); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return list, nil
}

// readElement reads the entry at the start of b: u32 offset, u32 key size, u64 page in
// a branch; u32 flags, u32 offset, u32 key size, u32 value size in a leaf.
func readElement(b []byte, leaf bool) (e element, err error) {
	u32 := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(b[at:])) }
	at, key, value := u32(0), u32(4), uint64(0)
	if leaf {
		at, key, value = u32(4), u32(8), u32(12)
		if u32(0) > bucketEntry {
			return e, fmt.Errorf("flags are %#x", u32(0))
		}
		e.bucket = u32(0) == bucketEntry
	} else if e.child = binary.NativeEndian.Uint64(b[8:]); e.child == 0 {
		return e, errors.New("it points at page 0")
	}
	if at < elementSize || at+key+value > uint64(len(b)) {
		return e, fmt.Errorf("bytes %d to %d of %d", at, at+key+value, len(b))
	}
	e.key, e.value = b[at:at+key], b[at+key:at+key+value]
	return e, nil
}

// ordered checks that keys rise from low and stay below high; nil is no bound.
func ordered(list []element, low, high []byte) error {
	for i, e := range list {
		if i > 0 && bytes.Compare(list[i-1].key, e.key) >= 0 {
			return fmt.Errorf("key %x follows %x", e.key, list[i-1].key)
		}
		if bytes.Compare(e.key, low) < 0 || high != nil && bytes.Compare(e.key, high) >= 0 {
			return fmt.Errorf("key %x is outside %x to %x", e.key, low, high)
		}
	}
	return nil
}
