package gateway

import (
	"context"
	"log/slog"
	"time"
)

// Record is what is kept of a request: who, what, how much; never its content.
type Record struct {
	RequestID  string
	Endpoint   string
	Identity   Identity
	Model      string
	Status     int
	Error      string // for operators; "" for none
	Streamed   bool
	Prompt     int // tokens
	Cached     int // of those, found in the prefix cache
	Generated  int // tokens
	Duration   time.Duration
	FirstToken time.Duration // since the request came in; 0 for none
}

// Auditor keeps records. It is called once for each request, after the answer.
type Auditor interface {
	Record(ctx context.Context, r Record)
}

// SlogAuditor writes each record as a line of the log.
type SlogAuditor struct{ Log *slog.Logger }

// Record logs r.
func (a SlogAuditor) Record(ctx context.Context, r Record) {
	attrs := []slog.Attr{
		slog.String("request_id", r.RequestID),
		slog.String("endpoint", r.Endpoint),
		slog.String("project", r.Identity.Project),
		slog.String("key", r.Identity.KeyID),
		slog.String("model", r.Model),
		slog.Int("status", r.Status),
		slog.Bool("stream", r.Streamed),
		slog.Int("prompt_tokens", r.Prompt),
		slog.Int("cached_tokens", r.Cached),
		slog.Int("generated_tokens", r.Generated),
		slog.Duration("duration", r.Duration),
		slog.Duration("first_token", r.FirstToken),
	}
	if r.Error != "" {
		attrs = append(attrs, slog.String("error", r.Error))
	}
	a.Log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}
