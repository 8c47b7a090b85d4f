package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// badRequest is an input that must be refused, and words that the refusal must hold.
type badRequest struct {
	name   string
	path   string
	key    string // "" = the fleet's
	body   string
	status int
	code   string
	says   []string
}

const (
	chatPath       = "/v1/chat/completions"
	completionPath = "/v1/completions"
	hello          = `"model":"tiny","messages":[{"role":"user","content":"Hello!"}]`
)

func badRequests() []badRequest {
	long := strings.Repeat("Where is the cat? ", tiny.Context)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	return []badRequest{
		{name: "no key", key: "none", body: `{` + hello + `}`, status: 401, code: "invalid_api_key"},
		{name: "wrong key", key: "nf-wrong", body: `{` + hello + `}`, status: 401, code: "invalid_api_key"},
		{name: "unknown model", body: `{"model":"gpt-9","messages":[{"role":"user","content":"Hello!"}]}`, status: 404, code: "model_not_found", says: []string{"gpt-9"}},
		{name: "prompt beyond the context", path: completionPath, body: `{"model":"tiny","prompt":"` + long + `"}`, status: 400, code: "context_length_exceeded", says: []string{fmt.Sprint(tiny.Context), "tokens"}},
		{name: "prompt and answer beyond the context", body: `{` + hello + `,"max_tokens":1024}`, status: 400, code: "context_length_exceeded", says: []string{fmt.Sprint(tiny.Context)}},
		{name: "NaN", body: `{` + hello + `,"temperature":NaN}`, status: 400, code: "invalid_json"},
		{name: "negative temperature", body: `{` + hello + `,"temperature":-1}`, status: 400, says: []string{"temperature", "-1", "2"}},
		{name: "negative max_tokens", body: `{` + hello + `,"max_tokens":-5}`, status: 400, says: []string{"max_tokens", "-5"}},
		{name: "top_p above 1", body: `{` + hello + `,"top_p":1.5}`, status: 400, says: []string{"top_p", "1.5", "1"}},
		{name: "20 MB", body: `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("a", 20<<20) + `"}]}`, status: 413, says: []string{"bytes"}},
		{name: "depth of 100,000", body: `{"model":"tiny","messages":` + deep + `}`, status: 400, code: "invalid_json", says: []string{"deep"}},
		{name: "duplicate key", body: `{` + hello + `,"model":"tiny"}`, status: 400, says: []string{"model"}},
		{name: "key in another case", body: `{` + hello + `,"Temperature":0}`, status: 400, says: []string{"Temperature"}},
		{name: "invalid UTF-8", body: "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}", status: 400, code: "invalid_json", says: []string{"UTF-8"}},
		{name: "no JSON", body: `hello`, status: 400, code: "invalid_json"},
		{name: "no messages", body: `{"model":"tiny"}`, status: 400, says: []string{"messages"}},
	}
}

// TestBadRequestsAreRefusedByName sends what apps and attackers send. Each gets a clear
// error in OpenAI's form, and the same processes go on to answer.
func TestBadRequestsAreRefusedByName(t *testing.T) {
	f := up(t)
	before := f.processes()
	for _, c := range badRequests() {
		key := f.key
		if c.key == "none" {
			key = ""
		} else if c.key != "" {
			key = c.key
		}
		path := c.path
		if path == "" {
			path = chatPath
		}
		status, out := f.post(path, key, []byte(c.body))
		object, _ := out["error"].(map[string]any)
		message, _ := object["message"].(string)
		if status != c.status || message == "" || (c.code != "" && object["code"] != c.code) {
			t.Errorf("%s: status %d, %v; want %d %s", c.name, status, out, c.status, c.code)
		}
		for _, word := range c.says {
			if !strings.Contains(message, word) {
				t.Errorf("%s: %q does not say %q", c.name, message, word)
			}
		}
	}
	q := questions()[0]
	if got := f.ask(q.Question); got != q.Answer {
		t.Errorf("afterwards: %q, want %q", got, q.Answer)
	}
	if after := f.processes(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("processes were %v, are %v", before, after)
	}
}

// TestBadFilesAreRefused adds what is no model; the fleet goes on.
func TestBadFilesAreRefused(t *testing.T) {
	f := up(t)
	whole, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"truncated.gguf": {whole[:len(whole)/2], "truncated.gguf"},
		"header.gguf":    {whole[:20], "header.gguf"},
		"noise.gguf":     {bytes.Repeat([]byte{7}, 5000), "noise.gguf"},
		"empty.gguf":     {nil, "empty"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := f.cli("model", "add", path, "--name", "bad")
		if code == 0 || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, %q; want a refusal that says %q", name, code, out, c.says)
		}
	}
	if out := f.must("model", "ls"); strings.Contains(out, "bad") {
		t.Errorf("a bad file was recorded:\n%s", out)
	}
	q := questions()[0]
	if got := f.ask(q.Question); got != q.Answer {
		t.Errorf("afterwards: %q, want %q", got, q.Answer)
	}
}

// TestFullDisk adds a model that the coordinator's disk cannot hold: of 70 MiB, the
// store keeps 64 in reserve.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	data := t.TempDir()
	disk := filepath.Join(data, "coordinator", "models")
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=70m"); err != nil {
		t.Skipf("this host lets nobody mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	f := &fleet{t: t, data: data}
	t.Cleanup(f.down)
	f.start()
	large := filepath.Join(t.TempDir(), "large.gguf")
	model, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 24<<20) // behind the tensors, where nobody looks
	_, _ = rand.Read(noise)
	if err := os.WriteFile(large, append(model, noise...), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := f.cli("model", "add", large, "--name", "large")
	if code == 0 || !strings.Contains(out, "disk is full") {
		t.Errorf("exit %d, %q; want a refusal that says the disk is full", code, out)
	}
	q := questions()[0]
	if got := f.ask(q.Question); got != q.Answer {
		t.Errorf("afterwards: %q, want %q", got, q.Answer)
	}
	// The room that the failed upload took is free again for what fits.
	f.must("model", "add", tiny.Dir(), "--name", "small")
}
