package obs

import "context"

type requestKey struct{}

// WithRequestID gives a context the id of the request it serves.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the id that WithRequestID gave, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// requestIDMax bounds ids that come from outside, in bytes.
const requestIDMax = 128

// ValidRequestID tells whether an id from outside may go into logs and headers: 1 to
// 128 printable ASCII characters without spaces.
func ValidRequestID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= requestIDMax
}
