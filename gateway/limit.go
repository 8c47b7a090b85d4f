package gateway

import "context"

// Limiter grants tokens before they are spent. Reserve is asked for the most a
// request can use; settle is called once with what it did use. A refusal is an
// *Error of status 429.
type Limiter interface {
	Reserve(ctx context.Context, id Identity, model string, tokens int) (settle func(used int), err error)
}

// Unlimited grants everything.
type Unlimited struct{}

// Reserve grants the tokens.
func (Unlimited) Reserve(context.Context, Identity, string, int) (func(int), error) {
	return func(int) {}, nil
}
