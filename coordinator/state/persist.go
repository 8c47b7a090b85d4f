package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/hashicorp/go-memdb"
)

// A persisted state is a head (magic, format, index), then the rows table by table in
// the order of their ids, then an end mark with their count, then the sha256 of all
// before it. docs/formats/raft.md draws it.
const (
	snapshotMagic  = "nfstate\n"
	snapshotFormat = 1
	snapshotEnd    = 0 // table number of the end mark
)

// ErrBadSnapshot is returned by Restore; the store is then as it was.
var ErrBadSnapshot = errors.New("state: damaged snapshot")

// stored numbers the tables in a snapshot. Numbers are never reused; rows are written
// in this order, so that equal states give equal bytes.
var stored = []struct {
	number byte
	table  string
	row    func() any
}{
	{1, tableProjects, func() any { return new(Project) }},
	{2, tableKeys, func() any { return new(Key) }},
	{3, tableTokens, func() any { return new(JoinToken) }},
	{4, tableNodes, func() any { return new(Node) }},
	{5, tableModels, func() any { return new(Model) }},
	{6, tableVersions, func() any { return new(Version) }},
	{7, tableDeployments, func() any { return new(Deployment) }},
	{8, tableInstances, func() any { return new(Instance) }},
	{9, tableRoutes, func() any { return new(Route) }},
}

// Persist writes the present state.
func (s *Store) Persist(w io.Writer) error { return s.Snapshot().Persist(w) }

// Persist writes the snapshot; equal states give equal bytes.
func (s *Snapshot) Persist(w io.Writer) error {
	p := &persister{w: w, sum: sha256.New()}
	p.write([]byte(snapshotMagic))
	p.write(binary.BigEndian.AppendUint32(nil, snapshotFormat))
	p.write(binary.BigEndian.AppendUint64(nil, s.index))
	db := s.db.Txn(false)
	for _, t := range stored {
		rows, err := db.Get(t.table, byID)
		if err != nil {
			return fmt.Errorf("state: persist %s: %w", t.table, err)
		}
		for row := rows.Next(); row != nil; row = rows.Next() {
			p.row(t.number, row)
		}
	}
	p.write(binary.BigEndian.AppendUint64([]byte{snapshotEnd}, p.rows))
	p.write(p.sum.Sum(nil))
	return p.err
}

// persister writes and sums; the first error stays.
type persister struct {
	w    io.Writer
	sum  hash.Hash
	rows uint64
	err  error
}

func (p *persister) write(b []byte) {
	if p.err != nil {
		return
	}
	p.sum.Write(b)
	if _, err := p.w.Write(b); err != nil {
		p.err = fmt.Errorf("state: persist: %w", err)
	}
}

func (p *persister) row(table byte, row any) {
	b, err := json.Marshal(row)
	if err != nil {
		p.err = errors.Join(p.err, fmt.Errorf("state: persist row %d: %w", p.rows, err))
		return
	}
	p.write(append(binary.BigEndian.AppendUint32([]byte{table}, uint32(len(b))), b...))
	p.rows++
}

// Restore replaces the state with a persisted one, after its checksum and invariants
// are found right.
func (s *Store) Restore(r io.Reader) error {
	db, index, err := restore(r)
	if err != nil {
		return err
	}
	if broken := (&Snapshot{db: db}).Check(); len(broken) > 0 {
		return fmt.Errorf("%w: %w", ErrBadSnapshot, errors.Join(broken...))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.index = db, index
	s.notify()
	return nil
}

func restore(r io.Reader) (*memdb.MemDB, uint64, error) {
	p := &restorer{sum: sha256.New()}
	p.r = io.TeeReader(r, p.sum)
	index, err := p.head()
	if err != nil {
		return nil, 0, err
	}
	db := emptyDB()
	tx := db.Txn(true)
	if err := p.tables(tx); err != nil {
		return nil, 0, err
	}
	if err := p.foot(r); err != nil {
		return nil, 0, err
	}
	tx.Commit()
	return db, index, nil
}

// restorer reads and sums.
type restorer struct {
	r    io.Reader
	sum  hash.Hash
	rows uint64
}

func (p *restorer) head() (index uint64, err error) {
	b, err := p.read(len(snapshotMagic) + 4 + 8)
	if err != nil {
		return 0, err
	}
	format := binary.BigEndian.Uint32(b[len(snapshotMagic):])
	if string(b[:len(snapshotMagic)]) != snapshotMagic || format != snapshotFormat {
		return 0, fmt.Errorf("%w: it begins with %q, format %d; this build reads %q, format %d",
			ErrBadSnapshot, b[:len(snapshotMagic)], format, snapshotMagic, snapshotFormat)
	}
	return binary.BigEndian.Uint64(b[len(snapshotMagic)+4:]), nil
}

// tables inserts rows up to the end mark.
func (p *restorer) tables(tx *memdb.Txn) error {
	for {
		mark, err := p.read(1)
		if err != nil {
			return err
		}
		if mark[0] == snapshotEnd {
			return nil
		}
		if err := p.row(tx, mark[0]); err != nil {
			return fmt.Errorf("%w: row %d: %w", ErrBadSnapshot, p.rows, err)
		}
		p.rows++
	}
}

func (p *restorer) row(tx *memdb.Txn, number byte) error {
	if number > byte(len(stored)) {
		return fmt.Errorf("table %d is unknown to this build", number)
	}
	size, err := p.read(4)
	if err != nil {
		return err
	}
	b, err := p.read(int(binary.BigEndian.Uint32(size)))
	if err != nil {
		return err
	}
	t := stored[number-1]
	row := t.row()
	if err := decodeJSON(b, row); err != nil {
		return err
	}
	return tx.Insert(t.table, row)
}

// foot checks the count, the sum and that nothing follows.
func (p *restorer) foot(r io.Reader) error {
	count, err := p.read(8)
	if err != nil {
		return err
	}
	if n := binary.BigEndian.Uint64(count); n != p.rows {
		return fmt.Errorf("%w: %d rows, its end says %d", ErrBadSnapshot, p.rows, n)
	}
	want := p.sum.Sum(nil)
	got, err := p.read(len(want))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: its checksum is %x, its bytes give %x", ErrBadSnapshot, got, want)
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n != 0 {
		return fmt.Errorf("%w: bytes after its end", ErrBadSnapshot)
	}
	return nil
}

// rowMax bounds a row: the largest is a version, which came in a command.
const rowMax = CommandMax

// read grows its buffer as bytes arrive, so that a damaged length takes no memory.
func (p *restorer) read(n int) ([]byte, error) {
	if n < 0 || n > rowMax {
		return nil, fmt.Errorf("%w: a length of %d bytes, at most %d", ErrBadSnapshot, n, rowMax)
	}
	var b bytes.Buffer
	if got, err := io.CopyN(&b, p.r, int64(n)); err != nil {
		return nil, fmt.Errorf("%w: it ends %d bytes early: %w", ErrBadSnapshot, int64(n)-got, err)
	}
	return b.Bytes(), nil
}
