package obs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

// lines parses what a logger wrote.
func lines(t *testing.T, b *bytes.Buffer) (out []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(b); d.More(); {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func TestLoggerAddsRoleAndRequest(t *testing.T) {
	var b bytes.Buffer
	log := Logger(&b, slog.LevelInfo, "agent")
	ctx := WithRequestID(context.Background(), "req-1")
	log.InfoContext(ctx, "one", "n", 7)
	log.With("extra", true).InfoContext(ctx, "two")
	log.Info("three")
	log.DebugContext(ctx, "not written")
	got := lines(t, &b)
	if len(got) != 3 {
		t.Fatalf("%d lines, want 3", len(got))
	}
	for i, want := range []map[string]any{
		{"msg": "one", "level": "INFO", "role": "agent", "request_id": "req-1", "n": 7.0},
		{"msg": "two", "role": "agent", "request_id": "req-1", "extra": true},
		{"msg": "three", "role": "agent", "request_id": nil},
	} {
		for k, v := range want {
			if got[i][k] != v {
				t.Errorf("line %d: %s = %v, want %v", i, k, got[i][k], v)
			}
		}
	}
}

func TestLoggerGroups(t *testing.T) {
	var b bytes.Buffer
	Logger(&b, slog.LevelInfo, "agent").WithGroup("g").InfoContext(WithRequestID(context.Background(), "r"), "m", "k", "v")
	g, ok := lines(t, &b)[0]["g"].(map[string]any)
	if !ok || g["k"] != "v" || g["request_id"] != "r" {
		t.Errorf("group is %v", g)
	}
}

func TestValidRequestID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "req_01-AZ.~!": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a\nb": false, "é": false, "\x7f": false,
	} {
		if ValidRequestID(id) != want {
			t.Errorf("ValidRequestID(%q) = %v", id, !want)
		}
	}
}

func TestMetricsHandler(t *testing.T) {
	w := httptest.NewRecorder()
	MetricsHandler(NewRegistry("1.2.3")).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`nanofleet_build_info{version="1.2.3"} 1`, "go_goroutines", "promhttp_metric_handler_errors_total"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}
