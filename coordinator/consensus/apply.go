package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Errors of Apply, Barrier and the changes of membership.
var (
	// ErrNotLeader says that nothing was done: ask the leader.
	ErrNotLeader = errors.New("consensus: this node does not lead")
	// ErrUnknown says that the outcome is open: the entry may or may not be committed.
	ErrUnknown = errors.New("consensus: the outcome is not known")
	// ErrClosed says that the group was closed; what had not ended by then is open.
	ErrClosed = errors.New("consensus: closed")
)

// enqueueTimeout bounds the wait for room in raft's queue.
const enqueueTimeout = 5 * time.Second

// Apply commits data and gives what the state machine returned for it. When ctx ends
// first the error is ErrUnknown.
func (g *Group) Apply(ctx context.Context, data []byte) (any, error) {
	f := g.raft.Apply(data, enqueueTimeout)
	if err := verdict(g.wait(ctx, f)); err != nil {
		return nil, err
	}
	return f.Response(), nil
}

// Barrier waits until everything committed before it has been applied here. It works
// on the leader alone.
func (g *Group) Barrier(ctx context.Context) error {
	return verdict(g.wait(ctx, g.raft.Barrier(enqueueTimeout)))
}

// wait waits for raft, ctx or Close: what is queued at a closed raft gets no answer.
func (g *Group) wait(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-g.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
	}
}

// verdict names raft's errors.
func verdict(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	case errors.Is(err, raft.ErrLeadershipLost):
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return ErrClosed
	}
	return err
}
