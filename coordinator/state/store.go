package state

import (
	"sync"

	"github.com/hashicorp/go-memdb"
)

// Store holds the tables. One goroutine applies commands; any number read snapshots.
type Store struct {
	mu      sync.RWMutex
	db      *memdb.MemDB
	index   uint64 // of the last command applied
	changed chan struct{}
}

// New makes a store that holds the default project and nothing else.
func New() *Store {
	s := &Store{db: emptyDB(), changed: make(chan struct{})}
	tx := &txn{reader{s.db.Txn(true)}}
	tx.put(tableProjects, &Project{ID: DefaultProject, Name: DefaultProject})
	tx.db.Commit()
	return s
}

// emptyDB panics when schema is wrong, which every test would show.
func emptyDB() *memdb.MemDB {
	db, err := memdb.NewMemDB(schema)
	if err != nil {
		panic(err)
	}
	return db
}

// Apply carries out the command at an index of the log. An error is an *Error and
// means that nothing has changed but the index.
func (s *Store) Apply(index uint64, cmd Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &txn{reader{s.db.Txn(true)}}
	defer tx.db.Abort() // after Commit it does nothing
	err := cmd.apply(tx)
	if err == nil {
		tx.db.Commit()
	}
	s.index = index
	s.notify()
	return err
}

// notify wakes the watchers; mu is held.
func (s *Store) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Snapshot is the state now; it does not change.
func (s *Store) Snapshot() *Snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &Snapshot{index: s.index, db: s.db.Snapshot(), changed: s.changed}
}

// Watch gives a channel that is closed at the next command. Take it before the
// snapshot, or use Snapshot.Watch, to miss none.
func (s *Store) Watch() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}
