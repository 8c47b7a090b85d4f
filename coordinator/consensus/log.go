package consensus

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLog gives raft a logger that writes to log, one record each.
func raftLog(log *slog.Logger, group string) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Debug, Output: io.Discard})
	l.RegisterSink(slogSink{log.With("group", group)})
	return l
}

// slogSink turns hclog's records into slog's.
type slogSink struct{ log *slog.Logger }

// Accept takes one record.
func (s slogSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	s.log.Log(context.Background(), slogLevel(level), name+": "+msg, args...)
}

// slogLevel lowers raft's levels by one step below error: what it warns of, such as a
// missed heartbeat, it repairs by itself.
func slogLevel(level hclog.Level) slog.Level {
	switch {
	case level >= hclog.Error:
		return slog.LevelError
	case level == hclog.Warn:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
