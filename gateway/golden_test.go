package gateway

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the answers that came into testdata")

// spoken is a conversation of messages, as a request would give it.
func spoken(messages []tiny.Message) *conversation {
	in := &conversation{Input: chat.Input{AddGenerationPrompt: true}}
	for _, m := range messages {
		d := jinja.NewDict()
		d.Set("role", jinja.Untrusted(m.Role))
		d.Set("content", jinja.Untrusted(m.Content))
		in.Messages = append(in.Messages, d)
	}
	return in
}

// ask sends one request to the handler.
func (s *stage) ask(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", testKey)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// flushes is a recorder that tells of each flush.
type flushes struct {
	*httptest.ResponseRecorder
	flushed chan struct{}
}

func (f flushes) Flush() { f.flushed <- struct{}{} }

// lockstep sends a request; if its answer is streamed, the actor plays no event
// before the one before it has been sent, so that no two are joined.
func (s *stage) lockstep(method, path, body string) *httptest.ResponseRecorder {
	w := flushes{httptest.NewRecorder(), make(chan struct{}, 100)}
	if then := s.actor.event; strings.Contains(body, `"stream":true`) {
		shown := false // the event before this one
		s.actor.event = func(i int, ev *wire.GenerateEvent) error {
			_, next := ev.GetEvent().(*wire.GenerateEvent_PromptLogprobs)
			if shown && !(next && i > 1) {
				<-w.flushed
			}
			shown = ev.GetTokens() == nil || !strings.Contains(body, `"max_tokens":0`)
			if then == nil {
				return nil
			}
			return then(i, ev)
		}
		defer func() { s.actor.event = then }()
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", testKey)
	s.ServeHTTP(w, r)
	return w.ResponseRecorder
}

// TestGolden plays the exchanges of testdata: each is a request, its body, a line
// of dashes, and the exact answer. Only ids and times are made alike.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	var out strings.Builder
	for _, play := range strings.Split(strings.TrimPrefix(string(b), "== "), "\n== ") {
		name, rest, _ := strings.Cut(play, "\n")
		request, want, _ := strings.Cut(rest+"\n", "----\n")
		got := s.play(request)
		if strings.TrimSpace(got) != strings.TrimSpace(want) && !*rewrite {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
		fmt.Fprintf(&out, "== %s\n%s----\n%s\n\n", name, request, strings.TrimRight(got, "\n"))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// play sends "METHOD path" and the body below it.
func (s *stage) play(request string) string {
	line, body, _ := strings.Cut(request, "\n")
	method, path, _ := strings.Cut(line, " ")
	w := s.lockstep(method, path, strings.TrimSpace(body))
	return fmt.Sprintf("%d %s\n%s", w.Code, w.Header().Get("Content-Type"), alike(w.Body.String()))
}

var (
	anyID      = regexp.MustCompile(`"(chatcmpl|cmpl)-[a-z0-9]+"`)
	anyCreated = regexp.MustCompile(`"created":\d{6,}`)
)

// alike makes ids and times the same in every run.
func alike(s string) string {
	s = anyID.ReplaceAllString(s, `"$1-ID"`)
	return anyCreated.ReplaceAllString(s, `"created":NOW`)
}

// TestHeaders sends request ids: fit ones are shown again, and none is relied upon
// to be unique.
func TestHeaders(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct{ sent, shown string }{{"abc-1", "abc-1"}, {"a b", ""}, {strings.Repeat("x", 200), ""}, {"", ""}} {
		r := httptest.NewRequest(http.MethodGet, "/v1/models", nil)
		r.Header.Set("Authorization", testKey)
		r.Header.Set("X-Request-Id", c.sent)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		shown := w.Header().Get("X-Request-Id")
		if shown == "" || (c.shown != "" && shown != c.shown) || (c.shown == "" && shown == c.sent) {
			t.Errorf("request id %q is shown as %q", c.sent, shown)
		}
		if id := s.audit.last().RequestID; id == c.sent || (c.shown != "" && !strings.HasPrefix(id, c.shown+".")) {
			t.Errorf("request id %q is kept as %q, want a unique one", c.sent, id)
		}
		if w.Header().Get("Openai-Processing-Ms") == "" {
			t.Error("no openai-processing-ms")
		}
	}
}
