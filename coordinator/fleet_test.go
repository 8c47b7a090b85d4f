package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/nanofleet/nanofleet/agent"
	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/server"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// TestMain is the engine's program too: the agent of the test starts this binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		if err := engineMain(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// engineMain takes the path of a hold file before an engine's own arguments.
func engineMain(args []string) error {
	hold, args := args[0], args[1:]
	orphan, err := time.ParseDuration(args[3])
	if err != nil || args[0] != "--socket" || args[2] != "--orphan-timeout" {
		return fmt.Errorf("arguments %q", args)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	return server.Run(ctx, server.Config{
		Socket: args[1], OrphanTimeout: orphan, Log: slog.New(slog.DiscardHandler),
		Backends: map[string]func(abi.Limits) (engine.Backend, error){
			"ref": func(l abi.Limits) (engine.Backend, error) {
				b, err := ref.New(l)
				return &held{Backend: b, file: hold}, err
			},
		},
	})
}

// heldAfter is how many steps an engine gets on while it is held: enough for a prompt
// and some tokens, too few for an answer.
const heldAfter = 20

// held is a backend that stands still in the middle of an answer for as long as a file
// is there: whoever wants to kill it there has all the time it takes.
type held struct {
	engine.Backend
	file  string
	steps int // since the file came
}

func (h *held) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	if err := h.Backend.Wait(seq, r, timeout); err != nil {
		return err
	}
	if !h.wanted() {
		h.steps = 0
		return nil
	}
	for h.steps++; h.steps > heldAfter && h.wanted(); {
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (h *held) wanted() bool {
	_, err := os.Stat(h.file)
	return err == nil
}

// hold makes the engine stand still within the next answer, until release.
func (r *running) hold() {
	r.t.Helper()
	if err := os.WriteFile(r.holdFile(), nil, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) release() {
	r.t.Helper()
	if err := os.Remove(r.holdFile()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) holdFile() string { return filepath.Join(filepath.Dir(r.cfg.Dir), "hold") }

// join runs an agent beside the coordinator until the test ends.
func (r *running) join() {
	t := r.t
	t.Helper()
	tok, err := r.admin().CreateToken(bounded(t), api.TokenSpec{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	if err := os.WriteFile(path, []byte(tok.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- agent.Run(ctx, agent.Config{
			DataDir: filepath.Join(dir, "agent"), Coordinators: []string{r.cfg.Fleet}, TokenFile: path, OrphanTimeout: time.Minute,
			StopEngines: true, Engine: []string{self, "engine", r.holdFile()}, Version: "test", Log: slog.New(slog.DiscardHandler),
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("the agent ended: ", err)
		}
	})
}

// deploy serves the tiny model as "chat" and waits until it is ready.
func (r *running) deploy() {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if _, err := r.admin().AddModel(ctx, "tiny", tiny.GGUF(), nil); err != nil {
		t.Fatal(err)
	}
	spec := api.DeploymentSpec{Model: "tiny", Replicas: 1, Options: api.EngineOptions{Backend: "ref", Threads: 1, MaxRunning: 2}}
	d, err := r.admin().Deploy(ctx, "chat", spec)
	for err == nil && d.Ready == 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("not ready: %+v", d)
		case <-time.After(20 * time.Millisecond):
		}
		d, err = r.admin().Deployment(ctx, "chat")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// chat asks the tiny model at temperature 0 and gives its whole answer.
func (r *running) chat(question string, each func(text string)) (text string, usage *api.Usage) {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	zero := 0.0
	err := r.admin().ChatStream(ctx, api.ChatRequest{
		Model: "chat", Temperature: &zero, Messages: []api.ChatMessage{{Role: "user", Content: question}},
	}, func(d api.ChatDelta) error {
		text += d.Content
		if d.Usage != nil {
			usage = d.Usage
		}
		each(text)
		return nil
	})
	if err != nil {
		t.Errorf("%q after %q: %v", question, text, err)
	}
	return text, usage
}

// killEngine ends the one engine that this process's agent started, by SIGKILL.
func killEngine(t *testing.T) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ") // state, parent, …
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no engine runs")
}

// From a join token to an answer; and when the engine is killed, before a request or
// in the middle of one, the client gets the same answer a little later.
func TestAnswersThoughItsEngineIsKilled(t *testing.T) {
	cfg := config(t)
	cfg.Fleet = freePort(t)
	r := start(t, cfg)
	r.join()
	r.deploy()
	want, ok := tiny.Answer(tiny.CountPrompt)
	if !ok {
		t.Fatal("the tiny model does not count")
	}
	whole, usage := r.chat(tiny.CountPrompt, func(string) {})
	if whole != want {
		t.Errorf("answer %q, want %q", whole, want)
	}
	killEngine(t)
	if got, _ := r.chat(tiny.CountPrompt, func(string) {}); got != want {
		t.Errorf("after a kill: %q, want %q", got, want)
	}
	r.hold()
	killedAt := 0
	got, resumed := r.chat(tiny.CountPrompt, func(text string) {
		if killedAt == 0 && text != "" {
			killedAt = len(text)
			killEngine(t)
			r.release()
		}
	})
	if got != want || killedAt == 0 || killedAt > len(want)/2 {
		t.Errorf("killed after %d bytes: %q, want %q", killedAt, got, want)
	}
	_, body := r.fetch("http://"+cfg.Metrics+"/metrics", "")
	if !strings.Contains(body, "nanofleet_requests_resumed_total 1") {
		t.Error("the metrics do not say that one request was resumed")
	}
	promtool(t, body)
	_, aliases := r.fetch("http://"+cfg.Metrics+"/metrics/vllm", "")
	for _, name := range vllmNames {
		if !strings.Contains(aliases, "\nvllm:"+name+"{") {
			t.Errorf("the metrics under vLLM's names have no %s", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || !strings.Contains(body, "nanofleet_instance_ready{") {
		t.Errorf("metrics: %v in\n%s", err, body)
	}
	for _, p := range problems {
		t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
	if usage == nil || resumed == nil || resumed.TotalTokens != usage.TotalTokens {
		t.Errorf("usage %+v, resumed %+v", usage, resumed)
	}
}

// vllmNames are metrics that dashboards made for vLLM ask for.
var vllmNames = []string{
	"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prefix_cache_queries_total", "prefix_cache_hits_total",
	"num_preemptions_total", "prompt_tokens_total", "generation_tokens_total", "cache_config_info", "request_success_total",
	"time_to_first_token_seconds_bucket", "inter_token_latency_seconds_bucket", "request_time_per_output_token_seconds_bucket",
	"e2e_request_latency_seconds_bucket", "request_queue_time_seconds_bucket", "request_prefill_time_seconds_bucket",
	"request_decode_time_seconds_bucket", "request_inference_time_seconds_bucket", "request_prompt_tokens_bucket",
	"request_generation_tokens_bucket", "request_params_n_bucket",
}

// promtool has Prometheus' own tool check metrics, where there is one.
func promtool(t *testing.T, metrics string) {
	t.Helper()
	tool := "../.cache/promtool"
	if _, err := os.Stat(tool); err != nil {
		if tool, err = exec.LookPath("promtool"); err != nil {
			return // promlint is what it is made of
		}
	}
	cmd := exec.Command(tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(metrics)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
