package state

import "github.com/hashicorp/go-memdb"

// reader is a view of the tables; writers have one too.
type reader struct{ db *memdb.Txn }

// txn is one command's change. It is committed whole or not at all.
type txn struct{ reader }

// The functions below panic when memdb errs: it does so only for a table, index or
// argument type that schema does not have, which no input can bring about.

// one finds the row of a unique index, or nil.
func one[T any](r reader, table, index string, args ...any) *T {
	row, err := r.db.First(table, index, args...)
	if err != nil {
		panic(err)
	}
	if row == nil {
		return nil
	}
	return row.(*T)
}

// all lists the rows of an index in the order of its keys.
func all[T any](r reader, table, index string, args ...any) []*T {
	rows, err := r.db.Get(table, index, args...)
	if err != nil {
		panic(err)
	}
	var out []*T
	for row := rows.Next(); row != nil; row = rows.Next() {
		out = append(out, row.(*T))
	}
	return out
}

// put inserts or replaces a row, which must not be changed afterwards.
func (tx *txn) put(table string, row any) {
	if err := tx.db.Insert(table, row); err != nil {
		panic(err)
	}
}

// remove deletes rows that are there.
func remove[T any](tx *txn, table string, rows ...*T) {
	for _, row := range rows {
		if err := tx.db.Delete(table, row); err != nil {
			panic(err)
		}
	}
}
