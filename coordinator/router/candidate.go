package router

import (
	"context"

	"github.com/nanofleet/nanofleet/wire"
)

// Candidate is an instance behind a model name, as last reported.
type Candidate struct {
	Instance   string
	Node       string
	Deployment string
	Version    string
	EOS        []int32 // tokens that end a text of this version
	Restarts   uint32  // of its engine: which of its processes this is

	Ready      bool
	Running    int // sequences being computed
	Waiting    int // requests in its own queue
	MaxRunning int // sequences at once; 0 = not known
	InFlight   int // requests this coordinator has open

	QueuedUncachedTokens int     // prompt tokens it has yet to compute
	PrefillRate          float64 // tokens per second; 0 = not measured yet
	DecodeRate           float64 // of the whole batch
	PagesUsed            int
	PagesTotal           int
}

// View shows the fleet to a router.
type View interface {
	// Candidates lists the instances behind a model name; known is false when the
	// project has no such name.
	Candidates(project, model string) (list []Candidate, known bool)
	// Changed gives a channel that is closed when candidates may have changed.
	Changed() <-chan struct{}
}

// Dialer opens a request's stream on a node. The stream ends with ctx.
type Dialer interface {
	Generate(ctx context.Context, node string, req *wire.GenerateRequest) (EventStream, error)
}

// EventStream carries the events of one request from one instance: an error before
// Finished or Error means that the instance, its host or the way there broke.
type EventStream interface {
	Recv() (*wire.GenerateEvent, error)
	Close() error
}
