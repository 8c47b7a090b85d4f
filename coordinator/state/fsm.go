package state

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// FSM lets raft drive a Store. What Apply returns is the command's verdict: an error
// or nil.
//
// A command that this build cannot read stops it: from there on every command is
// refused and no snapshot is taken, so that its state never parts from the others'.
// Failed tells; the coordinator should end and be upgraded.
type FSM struct {
	store  *Store
	err    error // why it stopped; raft calls from one goroutine
	failed chan error
}

var _ raft.BatchingFSM = (*FSM)(nil)

// NewFSM wraps a store.
func NewFSM(store *Store) *FSM { return &FSM{store: store, failed: make(chan error, 1)} }

// Failed gives the reason once the machine has stopped.
func (f *FSM) Failed() <-chan error { return f.failed }

// Apply carries out one committed entry.
func (f *FSM) Apply(entry *raft.Log) any {
	if entry.Type != raft.LogCommand {
		return nil
	}
	cmd, err := f.decode(entry)
	if err == nil {
		err = f.store.Apply(entry.Index, cmd)
	}
	if err != nil {
		return err
	}
	return nil
}

func (f *FSM) decode(entry *raft.Log) (Command, error) {
	if f.err != nil {
		return nil, f.err
	}
	cmd, err := Decode(entry.Data)
	if err != nil {
		f.err = fmt.Errorf("log index %d: %w", entry.Index, err)
		f.failed <- f.err
	}
	return cmd, f.err
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
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	if f.err != nil {
		return nil, f.err
	}
	return fsmSnapshot{f.store.Snapshot()}, nil
}

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
