package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanofleet/nanofleet/coordinator/consensus"
	"github.com/nanofleet/nanofleet/coordinator/state"
)

// replica joins the raft group with the state it drives: what the other packages
// know as Apply and Snapshot.
type replica struct {
	group *consensus.Group
	store *state.Store
	id    string
}

// Apply commits a command and gives the state machine's verdict.
func (r *replica) Apply(ctx context.Context, cmd state.Command) error {
	data, err := state.Encode(cmd)
	if err != nil {
		return err
	}
	verdict, err := r.group.Apply(ctx, data)
	if err != nil {
		return fmt.Errorf("coordinator: commit: %w", err)
	}
	if err, ok := verdict.(error); ok && err != nil {
		return verdictOf(err)
	}
	return nil
}

// Snapshot of the state as applied here.
func (r *replica) Snapshot() *state.Snapshot { return r.store.Snapshot() }

// Watch gives a channel that is closed at the next change.
func (r *replica) Watch() <-chan struct{} { return r.store.Watch() }

// Leader is the id of the leading coordinator.
func (r *replica) Leader() string {
	if r.group.IsLeader() {
		return r.id
	}
	return ""
}

// refusal is a verdict with the HTTP status the management API answers.
type refusal struct {
	error
	status int
}

// HTTPStatus of the answer.
func (r refusal) HTTPStatus() int { return r.status }

// Unwrap gives the verdict itself.
func (r refusal) Unwrap() error { return r.error }

// verdictOf gives the state's typed errors their HTTP statuses.
func verdictOf(err error) error {
	for _, k := range []struct {
		is     error
		status int
	}{
		{state.ErrNotFound, 404},
		{state.ErrExists, 409},
		{state.ErrConflict, 409},
		{state.ErrInvalid, 422},
	} {
		if errors.Is(err, k.is) {
			return refusal{err, k.status}
		}
	}
	return err
}
