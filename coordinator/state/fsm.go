package state

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"
)

// FSM lets raft drive a Store. What Apply returns is the command's verdict: an error
// or nil.
type FSM struct {
	store *Store
	fatal func(error)
}

var _ raft.BatchingFSM = (*FSM)(nil)

// NewFSM wraps a store. fatal is called when the log holds a command that this build
// cannot read: the coordinator must then stop, since its state would part from the
// others'.
func NewFSM(store *Store, fatal func(error)) *FSM { return &FSM{store: store, fatal: fatal} }

// Apply carries out one committed entry.
func (f *FSM) Apply(entry *raft.Log) any {
	if entry.Type != raft.LogCommand {
		return nil
	}
	cmd, err := Decode(entry.Data)
	if err != nil {
		f.fatal(err)
		return err
	}
	if err := f.store.Apply(entry.Index, cmd); err != nil {
		return err
	}
	return nil
}

// ApplyBatch carries out several entries and gives as many verdicts.
func (f *FSM) ApplyBatch(entries []*raft.Log) []any {
	out := make([]any, len(entries))
	for i, e := range entries {
		out[i] = f.Apply(e)
	}
	return out
}

// Snapshot keeps the present state for Persist; it takes no time.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) { return fsmSnapshot{f.store.Snapshot()}, nil }

// Restore replaces the state; raft calls it before any Apply.
func (f *FSM) Restore(r io.ReadCloser) error { return errors.Join(f.store.Restore(r), r.Close()) }

// fsmSnapshot writes a snapshot where raft wants it.
type fsmSnapshot struct{ *Snapshot }

// Persist writes and closes, or cancels, so that a half written snapshot is never used.
func (s fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.Snapshot.Persist(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release has nothing to give back.
func (s fsmSnapshot) Release() {}
