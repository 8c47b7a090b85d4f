package obs

import (
	"context"
	"io"
	"log/slog"
)

// Logger writes one JSON object a line to w: time, level, msg, role and, when the
// context has one, request_id.
func Logger(w io.Writer, level slog.Leveler, role string) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	return slog.New(requestHandler{h}).With("role", role)
}

// requestHandler adds the context's request id to records.
type requestHandler struct{ slog.Handler }

// Handle writes the record with the id, if there is one.
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapping.
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the wrapping.
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
