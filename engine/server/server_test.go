package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// patience bounds waits that end by events.
const patience = 30 * time.Second

// process is a running server of a test.
type process struct {
	t      *testing.T
	socket string
	logs   *logs
	done   chan error
}

// logs is a buffer that several goroutines write.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, orphan time.Duration) *process {
	t.Helper()
	return startWith(t, orphan, func(l abi.Limits) (engine.Backend, error) { return ref.New(l) })
}

// startWith runs a server whose backend "ref" is made by build.
func startWith(t *testing.T, orphan time.Duration, build func(abi.Limits) (engine.Backend, error)) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "nf") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{t: t, socket: filepath.Join(dir, "e.sock"), logs: &logs{}, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		p.done <- Run(ctx, Config{
			Socket: p.socket, OrphanTimeout: orphan,
			Log:      slog.New(slog.NewJSONHandler(p.logs, nil)),
			Backends: map[string]func(abi.Limits) (engine.Backend, error){"ref": build},
		})
	}()
	t.Cleanup(func() { cancel(); <-finished })
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(p.socket); err == nil && info.Mode().Perm() == 0o600 {
			return p
		} else if time.Since(began) > patience {
			t.Fatalf("no socket: %v %v", info, err)
		}
	}
}

func (p *process) ended() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
		return nil
	}
}

// open connects and sends frames.
func (p *process) open(kind wire.StreamKind, ms ...proto.Message) net.Conn {
	p.t.Helper()
	conn, err := net.Dial("unix", p.socket)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	send(p.t, conn, append([]proto.Message{&wire.StreamHeader{Capability: wire.Capability, Kind: kind, RequestId: "r-1"}}, ms...)...)
	return conn
}

func send(t *testing.T, w io.Writer, ms ...proto.Message) {
	t.Helper()
	for _, m := range ms {
		if err := wire.WriteFrame(w, m); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *process) agent(cmds ...*wire.EngineCommand) net.Conn {
	p.t.Helper()
	var ms []proto.Message
	for _, c := range cmds {
		ms = append(ms, c)
	}
	return p.open(wire.StreamKind_STREAM_KIND_CONTROL, ms...)
}

// until reads events up to the first that want accepts.
func (p *process) until(conn net.Conn, want func(*wire.EngineEvent) bool) (all []*wire.EngineEvent) {
	p.t.Helper()
	for {
		ev := &wire.EngineEvent{}
		if err := wire.ReadFrame(conn, ev); err != nil {
			p.t.Fatalf("after %v: %v", all, err)
		}
		if all = append(all, ev); want(ev) {
			return all
		}
	}
}

func isReady(ev *wire.EngineEvent) bool  { return ev.GetReady() != nil }
func isFailed(ev *wire.EngineEvent) bool { return ev.GetFailed() != nil }
func isStats(ev *wire.EngineEvent) bool  { return ev.GetStats() != nil }

func loadOf(path string, o *wire.EngineOptions) *wire.EngineCommand {
	if o == nil {
		o = &wire.EngineOptions{Backend: "ref", Threads: 1}
	}
	return &wire.EngineCommand{Command: &wire.EngineCommand_Load{Load: &wire.Load{Instance: "i-1", Path: path, Options: o}}}
}

// loaded starts a server with the tiny model.
func loaded(t *testing.T) (*process, net.Conn) {
	t.Helper()
	p := start(t, 0)
	agent := p.agent(loadOf(tiny.GGUF(), nil))
	p.until(agent, isReady)
	return p, agent
}

// result of a generate exchange.
type result struct {
	accepted *wire.Accepted
	text     string
	finished *wire.Finished
	err      *wire.Error
}

func collect(t *testing.T, conn net.Conn) (r result) {
	t.Helper()
	for {
		ev := &wire.GenerateEvent{}
		if err := wire.ReadFrame(conn, ev); err == io.EOF {
			return r
		} else if err != nil {
			t.Error(err)
			return r
		}
		switch ev := ev.GetEvent().(type) {
		case *wire.GenerateEvent_Accepted:
			r.accepted = ev.Accepted
		case *wire.GenerateEvent_Tokens:
			r.text += ev.Tokens.GetText()
		case *wire.GenerateEvent_Finished:
			r.finished = ev.Finished
		case *wire.GenerateEvent_Error:
			r.err = ev.Error
		}
	}
}

func greedy(prompt []int32, most uint32) *wire.GenerateRequest {
	return &wire.GenerateRequest{Instance: "i-1", Prompt: prompt, MaxTokens: most, Sampling: &wire.Sampling{Temperature: proto.Float32(0)}}
}

func (p *process) ask(r *wire.GenerateRequest) result {
	p.t.Helper()
	return collect(p.t, p.open(wire.StreamKind_STREAM_KIND_GENERATE, r))
}

func TestLoadTellsPhasesAndReady(t *testing.T) {
	p := start(t, 0)
	events := p.until(p.agent(loadOf(tiny.GGUF(), nil)), isReady)
	var phases []string
	for _, ev := range events[:len(events)-1] {
		if ph := ev.GetProgress().GetPhase(); len(phases) == 0 || phases[len(phases)-1] != ph {
			phases = append(phases, ph)
		}
	}
	if got := strings.Join(phases, " "); got != "map repack warm" {
		t.Errorf("phases %q", got)
	}
	r := events[len(events)-1].GetReady()
	if r.GetBackend() != "ref" || r.GetContext() != tiny.Context || r.GetNumericsId() == "" || r.GetPages() == 0 || r.GetFootprint().GetWeights() == 0 {
		t.Errorf("ready: %v", r)
	}
}

func TestKnownAnswersTogether(t *testing.T) {
	p, _ := loaded(t)
	m, err := model.LoadMeta(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, c := range tiny.Ask().Completions {
		conn := p.open(wire.StreamKind_STREAM_KIND_GENERATE, greedy(m.Tokenizer.Encode(c.Prompt, tokenizer.EncodeOptions{}), 500))
		wg.Go(func() {
			r := collect(t, conn)
			if r.text != c.Answer || r.finished.GetReason() != wire.FinishReason_FINISH_REASON_STOP {
				t.Errorf("%q: %q %v %v, want %q", c.Prompt, r.text, r.finished, r.err, c.Answer)
			}
			if r.accepted.GetInstance() != "i-1" || r.accepted.GetNumericsId() == "" {
				t.Errorf("accepted: %v", r.accepted)
			}
		})
	}
	wg.Wait()
}

func TestSeedIsKeptOrDrawn(t *testing.T) {
	p, _ := loaded(t)
	r := greedy([]int32{1}, 1)
	if a, b := p.ask(r).accepted.GetSeed(), p.ask(r).accepted.GetSeed(); a == b {
		t.Errorf("drawn twice: %d", a)
	}
	r.Seed = proto.Uint64(7)
	if s := p.ask(r).accepted.GetSeed(); s != 7 {
		t.Errorf("seed %d, want 7", s)
	}
}

func TestClosingCancels(t *testing.T) {
	p, agent := loaded(t)
	r := greedy([]int32{1}, 900)
	r.IgnoreEos = true
	conn := p.open(wire.StreamKind_STREAM_KIND_GENERATE, r)
	if err := wire.ReadFrame(conn, &wire.GenerateEvent{}); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	p.until(agent, func(ev *wire.EngineEvent) bool {
		return ev.GetStats().GetCancelled() == 1 && ev.GetStats().GetRunning() == 0
	})
}

func TestRefusals(t *testing.T) {
	p, _ := loaded(t)
	cold := greedy([]int32{1}, 1)
	cold.Sampling.Temperature = proto.Float32(-1)
	other := greedy([]int32{1}, 1)
	other.Instance = "i-2"
	adapter := greedy([]int32{1}, 1)
	adapter.Adapter = "a"
	for _, c := range []struct {
		r    *wire.GenerateRequest
		code wire.ErrorCode
		says []string
	}{
		{cold, wire.ErrorCode_ERROR_CODE_INVALID, []string{"temperature"}},
		{greedy(make([]int32, 2000), 1), wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH, []string{"1024", "2000"}},
		{other, wire.ErrorCode_ERROR_CODE_NOT_FOUND, []string{"instance"}},
		{adapter, wire.ErrorCode_ERROR_CODE_INVALID, []string{"adapter"}},
	} {
		e := p.ask(c.r).err
		if e.GetCode() != c.code {
			t.Errorf("%v, want %v", e, c.code)
		}
		for _, s := range c.says {
			if !strings.Contains(e.GetMessage(), s) {
				t.Errorf("%q does not say %q", e.GetMessage(), s)
			}
		}
	}
}

func TestUnavailableBeforeLoad(t *testing.T) {
	if e := start(t, 0).ask(greedy([]int32{1}, 1)).err; e.GetCode() != wire.ErrorCode_ERROR_CODE_UNAVAILABLE {
		t.Errorf("got %v", e)
	}
}

func TestReattach(t *testing.T) {
	p, old := loaded(t)
	agent := p.agent()
	events := p.until(agent, isStats)
	if len(events) != 2 || !isReady(events[0]) {
		t.Errorf("told %v", events)
	}
	for { // the old one is cut off
		if err := wire.ReadFrame(old, &wire.EngineEvent{}); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	send(t, agent, loadOf(tiny.GGUF(), nil))
	p.until(agent, isReady)
	send(t, agent, loadOf(tiny.Dir(), nil))
	events = p.until(agent, isFailed)
	if f := events[len(events)-1].GetFailed(); !strings.Contains(f.GetMessage(), "i-1") {
		t.Errorf("failed: %v", f)
	}
	send(t, agent, &wire.EngineCommand{Command: &wire.EngineCommand_Ping{Ping: &wire.Ping{Nonce: 9}}})
	p.until(agent, func(ev *wire.EngineEvent) bool { return ev.GetPong().GetNonce() == 9 })
}

func TestFailedLoadsSayWhyAndLeaveRoom(t *testing.T) {
	whole, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.gguf")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, 0)
	agent := p.agent()
	tight := loadOf(tiny.GGUF(), nil)
	tight.GetLoad().MemoryMax = 1000
	for _, c := range []struct {
		load *wire.EngineCommand
		says string
	}{
		{loadOf(cut, nil), "cut.gguf"},
		{loadOf("/no/such.gguf", nil), "/no/such.gguf"},
		{loadOf(tiny.GGUF(), &wire.EngineOptions{Backend: "abacus"}), `backend: "abacus", must be one of this build's: ref`},
		{loadOf(tiny.GGUF(), &wire.EngineOptions{Backend: "ref", Context: 5000}), "context: 5000, must be at most 1024"},
		{loadOf(tiny.GGUF(), &wire.EngineOptions{Backend: "ref", Quant: "fp8"}), `quant: "fp8", backend ref has only none`},
		{loadOf(tiny.GGUF(), &wire.EngineOptions{Backend: "ref", KvDtype: "f16"}), `kv_dtype: "f16", backend ref has only f32`},
		{tight, "memory_max: 1000 bytes, must be at least"},
	} {
		send(t, agent, c.load)
		events := p.until(agent, isFailed)
		if f := events[len(events)-1].GetFailed(); !strings.Contains(f.GetMessage(), c.says) {
			t.Errorf("%q does not say %q", f.GetMessage(), c.says)
		}
	}
	send(t, agent, loadOf(tiny.GGUF(), nil))
	p.until(agent, isReady)
}

func TestDrainAndStop(t *testing.T) {
	p, agent := loaded(t)
	conn := p.open(wire.StreamKind_STREAM_KIND_GENERATE, greedy([]int32{1}, 20))
	if err := wire.ReadFrame(conn, &wire.GenerateEvent{}); err != nil {
		t.Fatal(err)
	}
	send(t, agent, &wire.EngineCommand{Command: &wire.EngineCommand_Drain{Drain: &wire.Drain{TimeoutMs: patience.Milliseconds()}}})
	p.until(agent, func(ev *wire.EngineEvent) bool { return ev.GetDrained() != nil })
	if r := collect(t, conn); r.finished == nil || r.finished.GetReason() == wire.FinishReason_FINISH_REASON_CANCELLED {
		t.Errorf("drained request: %+v", r)
	}
	if e := p.ask(greedy([]int32{1}, 1)).err; e.GetCode() != wire.ErrorCode_ERROR_CODE_UNAVAILABLE {
		t.Errorf("after drain: %v", e)
	}
	send(t, agent, &wire.EngineCommand{Command: &wire.EngineCommand_Stop{Stop: &wire.Stop{}}})
	if err := p.ended(); err != nil {
		t.Error(err)
	}
}

func TestOrphanEnds(t *testing.T) {
	p := start(t, 100*time.Millisecond)
	if err := p.ended(); err != nil {
		t.Error(err)
	}
}

func TestSocketPlaces(t *testing.T) {
	p := start(t, 0)
	if l, err := listen(p.socket); err == nil || !strings.Contains(err.Error(), "another engine") {
		t.Errorf("second engine: %v %v", l, err)
	}
	dir := filepath.Dir(p.socket)
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if l, err = listen(stale); err != nil {
		t.Errorf("stale socket: %v", err)
	} else {
		l.Close()
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(file); err == nil {
		t.Error("a file was replaced")
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(filepath.Join(dir, "x.sock")); err == nil || !strings.Contains(err.Error(), "0755") {
		t.Errorf("open directory: %v", err)
	}
}

// TestOtherUserChild is the peer of TestOtherUserIsRefused.
func TestOtherUserChild(t *testing.T) {
	socket := os.Getenv("NF_TEST_SOCKET")
	if socket == "" {
		t.Skip("runs as the child of TestOtherUserIsRefused")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = wire.WriteFrame(conn, &wire.StreamHeader{Kind: wire.StreamKind_STREAM_KIND_GENERATE})
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatalf("was told %d bytes", n)
	}
}

func TestOtherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a process of another user")
	}
	p := start(t, 0)
	// Only the credentials are to stop the child.
	dir := filepath.Dir(p.socket)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "child")
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run", "^TestOtherUserChild$")
	cmd.Dir, cmd.Env = dir, []string{"NF_TEST_SOCKET=" + p.socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(p.logs.String(), "uid 65534") {
		t.Errorf("not logged: %s", p.logs)
	}
}
