package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestAnswers asks everything the tiny model was taught: a wrong token anywhere on
// the path shows.
func TestAnswers(t *testing.T) {
	f := up(t)
	for _, q := range questions() {
		if got := f.ask(q.Question); got != q.Answer {
			t.Errorf("%q: got %q, want %q", q.Question, got, q.Answer)
		}
	}
	if m, err := os.Stat(filepath.Join(f.data, "api-key")); err != nil || m.Mode().Perm() != 0o600 {
		t.Errorf("api-key: mode %v, %v; want 0600", m.Mode().Perm(), err)
	}
}

// TestStreamedEqualsWhole compares both forms of an answer, alone and among others.
func TestStreamedEqualsWhole(t *testing.T) {
	f := up(t)
	var wg sync.WaitGroup
	for _, q := range questions() {
		wg.Go(func() {
			streamed := f.ask(q.Question)
			body := fmt.Sprintf(`{"model":"tiny","temperature":0,"max_tokens":64,"messages":[{"role":"user","content":%q}]}`, q.Question)
			code, out := f.post("/v1/chat/completions", f.key, []byte(body))
			if whole := content(out); code != 200 || whole != streamed {
				t.Errorf("%q: whole %q (%d), streamed %q", q.Question, whole, code, streamed)
			}
		})
	}
	wg.Wait()
}

func content(out map[string]any) string {
	choices, _ := out["choices"].([]any)
	if len(choices) == 0 {
		return ""
	}
	message, _ := choices[0].(map[string]any)["message"].(map[string]any)
	s, _ := message["content"].(string)
	return s
}

// TestPrefixCacheIsReported sends a prompt of several pages twice.
func TestPrefixCacheIsReported(t *testing.T) {
	f := up(t)
	prompt, err := json.Marshal(strings.Repeat("Where is the cat? ", 30))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(fmt.Sprintf(`{"model":"tiny","prompt":%s,"max_tokens":4,"temperature":0}`, prompt))
	code, first := f.post("/v1/completions", f.key, body)
	if code != 200 {
		t.Fatalf("status %d: %v", code, first)
	}
	_, second := f.post("/v1/completions", f.key, body)
	if a, b := cached(first), cached(second); a != 0 || b < 64 {
		t.Errorf("cached tokens %v then %v, want 0 then at least a page of 64", a, b)
	}
	if text(first) != text(second) {
		t.Errorf("with the cache %q, without %q", text(second), text(first))
	}
}

func cached(out map[string]any) float64 {
	usage, _ := out["usage"].(map[string]any)
	details, _ := usage["prompt_tokens_details"].(map[string]any)
	n, _ := details["cached_tokens"].(float64)
	return n
}

func text(out map[string]any) string {
	choices, _ := out["choices"].([]any)
	if len(choices) == 0 {
		return ""
	}
	s, _ := choices[0].(map[string]any)["text"].(string)
	return s
}

// TestStateSurvives stops the fleet and starts it again: same model, same key.
func TestStateSurvives(t *testing.T) {
	f := up(t)
	q := questions()[0]
	key := f.key
	f.must("down")
	f.start()
	if f.key != key {
		t.Error("the API key changed")
	}
	if got := f.ask(q.Question); got != q.Answer {
		t.Errorf("after a restart: %q, want %q", got, q.Answer)
	}
}

// TestChat talks through a pipe: it remembers, and with --json each answer is a line.
func TestChat(t *testing.T) {
	f := up(t)
	for _, colour := range []string{"red", "green"} {
		cmd := exec.Command(binary, "chat", "tiny", "--temperature", "0", "--json", "--data", f.data)
		cmd.Stdin = strings.NewReader("My favourite colour is " + colour + ".\nWhat is my favourite colour?\n/new\nHello!\n/quit\nHello!\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := []string{"I will remember that.", "Your favourite colour is " + colour + ".", "Hello! How can I help you?"}
		var got []string
		for line := range strings.Lines(string(out)) {
			var said struct{ Role, Content string }
			if err := json.Unmarshal([]byte(line), &said); err != nil || said.Role != "assistant" {
				t.Errorf("line %q: %v", line, err)
			}
			got = append(got, said.Content)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestCommandLine walks the verbs as an operator would.
func TestCommandLine(t *testing.T) {
	f := up(t)
	if out := f.must("status"); !strings.Contains(out, "1/1") {
		t.Errorf("status lacks a ready replica:\n%s", out)
	}
	var status struct {
		Deployments []struct{ Ready int }
	}
	if err := json.Unmarshal([]byte(f.must("status", "--json")), &status); err != nil || len(status.Deployments) != 1 || status.Deployments[0].Ready != 1 {
		t.Errorf("status --json: %v, %+v", err, status)
	}
	secret := strings.TrimSpace(f.must("key", "create", "app"))
	if code, _ := f.request("GET", "/v1/models", secret, nil); code != 200 {
		t.Errorf("a fresh key: status %d, want 200", code)
	}
	if code, _ := f.request("GET", "/api/v1/status", secret, nil); code != 403 {
		t.Errorf("a user's key at the management API: status %d, want 403", code)
	}
	var keys []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(f.must("key", "ls", "--json")), &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Name == "app" {
			f.must("key", "revoke", k.ID)
		}
	}
	if code, _ := f.request("GET", "/v1/models", secret, nil); code != 401 {
		t.Errorf("a revoked key: status %d, want 401", code)
	}
	if out := f.must("model", "ls"); !strings.Contains(out, "tiny") {
		t.Errorf("model ls lacks tiny:\n%s", out)
	}
	f.must("model", "add", tiny.Dir(), "--name", "tiny-hf")
	f.must("deploy", "tiny-hf", "--wait", "60s", "--threads", "1")
	if out := f.must("bench", "--model", "tiny-hf", "--requests", "4", "--prompt-tokens", "8", "--output-tokens", "8", "--json"); !strings.Contains(out, `"failed": 0`) {
		t.Errorf("bench: %s", out)
	}
	if out, code := f.cli("model", "rm", "tiny-hf"); code != 4 || !strings.Contains(out, "tiny-hf") {
		t.Errorf("removing a deployed model: exit %d, %q; want a refusal (4) that names it", code, out)
	}
	f.must("undeploy", "tiny-hf")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"unknown flag":        {[]string{"status", "--nonsense"}, 2},
		"no such model":       {[]string{"deploy", "none"}, 4},
		"no coordinator":      {[]string{"status", "--server", "http://127.0.0.1:1"}, 3},
		"missing file":        {[]string{"model", "add", "/nonexistent.gguf", "--name", "x"}, 1},
		"endless file":        {[]string{"model", "add", "/dev/zero", "--name", "x"}, 1},
		"no source":           {[]string{"model", "add", "--name", "x"}, 2},
		"bad name":            {[]string{"model", "add", tiny.GGUF(), "--name", "a/b"}, 4},
		"no such verb":        {[]string{"dance"}, 2},
		"no such key verb":    {[]string{"key", "dance"}, 2},
		"an empty id":         {[]string{"key", "revoke", ""}, 2},
		"no address":          {[]string{"status", "--server", "ftp://x"}, 2},
		"no temperature":      {[]string{"chat", "tiny", "--temperature", "NaN"}, 2},
		"bench of nothing":    {[]string{"bench", "--model", "none", "--requests", "2"}, 2},
		"no such model file":  {[]string{"up", "--api", "127.0.0.1:0", "--model", "/nonexistent.gguf"}, 2},
		"no such certificate": {[]string{"up", "--api", "127.0.0.1:0", "--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.pem"}, 2},
	} {
		if out, code := f.cli(c.args...); code != c.code {
			t.Errorf("%s: exit %d, want %d: %s", name, code, c.code, out)
		}
	}
}
