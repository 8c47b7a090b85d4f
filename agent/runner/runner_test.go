package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/server"
	"github.com/nanofleet/nanofleet/internal/svc"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// patience bounds waits that end by events.
const patience = 60 * time.Second

// TestMain is the engine's program too: a runner of the tests starts this binary.
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

// engineMain is a real engine process over the reference backend.
func engineMain(args []string) error {
	orphan, err := time.ParseDuration(args[3])
	if err != nil || args[0] != "--socket" || args[2] != "--orphan-timeout" {
		return fmt.Errorf("arguments %q", args)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	return server.Run(ctx, server.Config{
		Socket: args[1], OrphanTimeout: orphan, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		Backends: map[string]func(abi.Limits) (engine.Backend, error){
			"ref": func(l abi.Limits) (engine.Backend, error) { return ref.New(l) },
		},
	})
}

// models is a store whose versions are paths on this host; missing ones fail.
type models struct {
	mu    sync.Mutex
	paths map[string]string
	pins  map[string]int
	pulls int
}

func newModels() *models {
	return &models{paths: map[string]string{"v1": tiny.GGUF()}, pins: map[string]int{}}
}

func (m *models) Pull(_ context.Context, version string, _ *wire.Manifest, progress func(done, total uint64)) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pulls++
	progress(1, 1)
	if path := m.paths[version]; path != "" {
		return path, nil
	}
	return "", errors.New("no source has it")
}

func (m *models) Pin(version string) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pins[version]++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.pins[version]--
	}
}

func (m *models) set(version, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paths[version] = path
}

// bench is a data directory with runners over it, one after the other.
type bench struct {
	t      *testing.T
	dir    string
	models *models
	runner *Runner
}

// newBench uses a directory whose sockets' absolute paths would be too long to bind.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), strings.Repeat("long", 30)), models: newModels()}
	b.open()
	t.Cleanup(func() {
		b.runner.Stop(context.Background(), 0)
		b.runner.Close()
		if t.Failed() {
			b.showLogs()
		}
	})
	return b
}

func (b *bench) open() {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	b.runner, err = Open(Config{
		Dir: b.dir, Engine: []string{self, "engine"}, OrphanTimeout: patience, DrainTimeout: patience,
		Store: b.models, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(b.dir, "log", "*.log"))
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		b.t.Logf("%s:\n%s", filepath.Base(path), text)
	}
}

func spec(instance, version string) *wire.InstanceSpec {
	return &wire.InstanceSpec{
		Instance: instance, Model: "tiny", Version: version, Device: "cpu",
		Options: &wire.EngineOptions{Backend: "ref", Threads: 1, Context: 512, MaxRunning: 2, StepTokens: 128},
	}
}

func desired(specs ...*wire.InstanceSpec) *wire.Desired { return &wire.Desired{Instances: specs} }

// until waits for an instance's status; nil is an instance that is gone.
func (b *bench) until(instance, what string, ok func(*wire.InstanceStatus) bool) *wire.InstanceStatus {
	b.t.Helper()
	deadline := time.After(patience)
	for {
		changed := b.runner.Changed()
		var found *wire.InstanceStatus
		for _, st := range b.runner.Statuses() {
			if st.GetInstance() == instance {
				found = st
			}
		}
		if ok(found) {
			return found
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond): // messages and stats come without a change of state
		case <-deadline:
			b.t.Fatalf("%s: not %s within %v: %v", instance, what, patience, found)
		}
	}
}

func (b *bench) untilReady(instance string) *wire.InstanceStatus {
	b.t.Helper()
	return b.until(instance, "ready", func(s *wire.InstanceStatus) bool { return s.GetState() == ready })
}

func (b *bench) untilGone(instance string) {
	b.t.Helper()
	b.until(instance, "gone", func(s *wire.InstanceStatus) bool { return s == nil })
}

func (b *bench) process(instance string) svc.Process {
	b.t.Helper()
	p, err := svc.ReadPID(filepath.Join(b.dir, "run", instance+".pid"))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) untilDead(p svc.Process) {
	b.t.Helper()
	for began := time.Now(); p.Running(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			b.t.Fatalf("pid %d lives", p.PID)
		}
	}
}

// generate asks a ready instance for n tokens and gives the connection.
func (b *bench) generate(instance string, n uint32) net.Conn {
	b.t.Helper()
	c, err := b.runner.Dial(context.Background(), instance)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	zero := float32(0)
	req := &wire.GenerateRequest{RequestId: "r", Instance: instance, Prompt: []int32{5, 6, 7}, MaxTokens: n, IgnoreEos: true, Sampling: &wire.Sampling{Temperature: &zero}}
	head := &wire.StreamHeader{Capability: wire.Capability, Kind: wire.StreamKind_STREAM_KIND_GENERATE, RequestId: "r"}
	if err := errors.Join(wire.WriteFrame(c, head), wire.WriteFrame(c, req)); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// answer reads a stream to its end.
func answer(c net.Conn) (tokens int, last *wire.GenerateEvent) {
	for {
		ev := &wire.GenerateEvent{}
		if wire.ReadFrame(c, ev) != nil {
			return tokens, last
		}
		tokens += len(ev.GetTokens().GetIds())
		last = ev
	}
}

func TestServesAndStops(t *testing.T) {
	b := newBench(t)
	b.runner.Apply(desired(spec("inst-a", "v1")))
	st := b.untilReady("inst-a")
	if st.GetReady().GetNumericsId() == "" || st.GetReady().GetContext() != 512 {
		t.Errorf("ready says %v", st.GetReady())
	}
	if n, last := answer(b.generate("inst-a", 4)); n != 4 || last.GetFinished() == nil {
		t.Errorf("%d tokens, last %v; want 4 and Finished", n, last)
	}
	b.until("inst-a", "counting", func(s *wire.InstanceStatus) bool { return s.GetStats().GetGeneratedTokens() >= 4 })
	p := b.process("inst-a")
	b.runner.Apply(desired())
	b.untilGone("inst-a")
	if p.Running() {
		t.Error("the engine outlives its instance")
	}
	left, _ := filepath.Glob(filepath.Join(b.dir, "run", "*"))
	if len(left) != 0 || b.models.pins["v1"] != 0 {
		t.Errorf("left behind: %q, %d pins", left, b.models.pins["v1"])
	}
	if _, err := b.runner.Dial(context.Background(), "inst-a"); !errors.Is(err, ErrNotReady) {
		t.Errorf("dialled a stopped instance: %v", err)
	}
}

func TestKilledEngineComesBack(t *testing.T) {
	b := newBench(t)
	b.runner.Apply(desired(spec("inst-a", "v1")))
	b.untilReady("inst-a")
	for n := range uint32(2) {
		p := b.process("inst-a")
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.until("inst-a", "restarted", func(s *wire.InstanceStatus) bool { return s.GetRestarts() == n+1 && s.GetState() == ready })
		if q := b.process("inst-a"); q == p {
			t.Error("the same process")
		}
	}
	if n, _ := answer(b.generate("inst-a", 2)); n != 2 {
		t.Errorf("%d tokens after the restarts, want 2", n)
	}
}

func TestHungEngineIsReplaced(t *testing.T) {
	b := newBench(t)
	b.runner.silentMax = 2 * pingEvery
	b.runner.Apply(desired(spec("inst-a", "v1")))
	b.untilReady("inst-a")
	p := b.process("inst-a")
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.until("inst-a", "restarted", func(s *wire.InstanceStatus) bool { return s.GetRestarts() >= 1 && s.GetState() == ready })
	if p.Running() {
		t.Error("the hung engine lives")
	}
}

func TestNextAgentTakesOver(t *testing.T) {
	b := newBench(t)
	b.runner.Apply(desired(spec("inst-a", "v1"), spec("inst-b", "v1"), spec("inst-c", "v1")))
	for _, id := range []string{"inst-a", "inst-b", "inst-c"} {
		b.untilReady(id)
	}
	kept, dropped, changed := b.process("inst-a"), b.process("inst-b"), b.process("inst-c")
	pulls := b.models.pulls
	b.runner.Close()
	for _, p := range []svc.Process{kept, dropped, changed} {
		if !p.Running() {
			t.Fatal("an engine ended with its agent")
		}
	}
	b.open()
	other := spec("inst-c", "v1")
	other.Options.MaxRunning = 1
	b.runner.Apply(desired(spec("inst-a", "v1"), other))
	b.untilReady("inst-a")
	b.untilReady("inst-c")
	b.untilDead(dropped)
	b.untilDead(changed)
	if b.process("inst-a") != kept {
		t.Error("an engine that was as desired was started anew")
	}
	if b.models.pulls != pulls+1 {
		t.Errorf("%d pulls after the take-over, want 1: only what changed", b.models.pulls-pulls)
	}
	if n, _ := answer(b.generate("inst-a", 3)); n != 3 {
		t.Errorf("%d tokens from the engine taken over, want 3", n)
	}
	// It is watched as a child is.
	if err := kept.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.until("inst-a", "restarted", func(s *wire.InstanceStatus) bool { return s.GetRestarts() == 1 && s.GetState() == ready })
}

func TestDrainLetsRequestsFinish(t *testing.T) {
	b := newBench(t)
	b.runner.Apply(desired(spec("inst-a", "v1")))
	b.untilReady("inst-a")
	c := b.generate("inst-a", 200)
	first := &wire.GenerateEvent{}
	if err := wire.ReadFrame(c, first); err != nil || first.GetAccepted() == nil {
		t.Fatalf("first event %v, %v", first, err)
	}
	b.runner.Apply(desired())
	b.until("inst-a", "draining or gone", func(s *wire.InstanceStatus) bool { return s == nil || s.GetState() == draining })
	if _, err := b.runner.Dial(context.Background(), "inst-a"); !errors.Is(err, ErrNotReady) {
		t.Errorf("a draining instance takes requests: %v", err)
	}
	if n, last := answer(c); n != 200 || last.GetFinished() == nil {
		t.Errorf("%d tokens, last %v; want all 200", n, last)
	}
	b.untilGone("inst-a")
}

func TestFailuresAreToldAndTriedAgain(t *testing.T) {
	b := newBench(t)
	broken := filepath.Join(t.TempDir(), "broken.gguf")
	if err := os.WriteFile(broken, []byte("GGUF, but not really"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.models.set("v3", broken)
	b.runner.Apply(desired(spec("inst-a", "v2"), spec("inst-b", "v3"), spec("../escape", "v1")))
	st := b.until("inst-a", "failed", func(s *wire.InstanceStatus) bool { return s.GetState() == failed })
	if !strings.Contains(st.GetMessage(), "no source has it") {
		t.Errorf("a failed pull says %q", st.GetMessage())
	}
	st = b.until("inst-b", "failed", func(s *wire.InstanceStatus) bool { return s.GetState() == failed && s.GetMessage() != "" })
	if strings.Contains(st.GetMessage(), "exit status") {
		t.Errorf("a failed load says %q, want the engine's own words", st.GetMessage())
	}
	if n := len(b.runner.Statuses()); n != 2 {
		t.Errorf("%d instances, want 2: an id that climbs out of its directory is refused", n)
	}
	b.models.set("v2", tiny.GGUF())
	b.models.set("v3", tiny.GGUF())
	for _, id := range []string{"inst-a", "inst-b"} {
		if st := b.untilReady(id); st.GetMessage() != "" {
			t.Errorf("%s is ready and says %q", id, st.GetMessage())
		}
	}
}

func TestStopEndsEngines(t *testing.T) {
	b := newBench(t)
	b.runner.Apply(desired(spec("inst-a", "v1")))
	b.untilReady("inst-a")
	p := b.process("inst-a")
	c := b.generate("inst-a", 400)
	b.runner.Stop(context.Background(), 0)
	if p.Running() {
		t.Error("the engine outlives Stop")
	}
	answer(c)
	b.runner.Apply(desired(spec("inst-a", "v1")))
	if n := len(b.runner.Statuses()); n != 0 {
		t.Errorf("%d instances began after Stop", n)
	}
}

func TestChangedSpecBeginsAnew(t *testing.T) {
	b := newBench(t)
	b.runner.Apply(desired(spec("inst-a", "v1")))
	b.untilReady("inst-a")
	p := b.process("inst-a")
	other := spec("inst-a", "v1")
	other.Options.Context = 256
	b.runner.Apply(desired(other))
	b.until("inst-a", "as changed", func(s *wire.InstanceStatus) bool { return s.GetReady().GetContext() == 256 })
	if p.Running() {
		t.Error("the old engine lives")
	}
}

func TestLogIsBounded(t *testing.T) {
	f, err := openFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	log, err := f.openLog("inst-a")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := io.WriteString(log, strings.Repeat("x", logMax)+"the end"); err != nil {
		t.Fatal(err)
	}
	if err := f.boundLog("inst-a"); err != nil {
		t.Fatal(err)
	}
	// The engine goes on writing to the file it holds.
	if _, err := io.WriteString(log, "more"); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(f.logFile("inst-a"))
	if err != nil || string(now) != "more" {
		t.Errorf("the log holds %q, %v; want what came since", now, err)
	}
	old, err := os.ReadFile(f.logFile("inst-a") + ".1")
	if err != nil || len(old) != logMax || !strings.HasSuffix(string(old), "the end") {
		t.Errorf("%d bytes were kept, %v; want the last %d", len(old), err, logMax)
	}
}
