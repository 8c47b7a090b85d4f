package server

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// rationed is a backend that may do so many steps, one in a millisecond.
type rationed struct {
	engine.Backend
	left *atomic.Int64
}

func (b rationed) Wait(seq uint64, r *abi.Result, patience time.Duration) error {
	if err := b.Backend.Wait(seq, r, patience); err != nil {
		return err
	}
	for time.Sleep(time.Millisecond); b.left.Load() == 0; time.Sleep(time.Millisecond) {
	}
	b.left.Add(-1)
	return nil
}

// A request that is given up while its peer reads nothing frees its slot and its pages
// at once: the answer that cannot be written is not waited for, nor is its end. The
// logprobs of the prompt are more than a socket holds, so that the writer stands still.
func TestCancelledThoughNobodyReads(t *testing.T) {
	const plenty = 1 << 30
	var left atomic.Int64
	left.Store(plenty)
	p := startWith(t, 0, func(l abi.Limits) (engine.Backend, error) {
		b, err := ref.New(l)
		return rationed{b, &left}, err
	})
	agent := p.agent(loadOf(tiny.GGUF(), nil))
	p.until(agent, isReady)

	const prompt, most = 800, 200
	r := greedy(make([]int32, prompt), most)
	r.IgnoreEos, r.PromptLogprobs = true, proto.Uint32(20)
	r.Sampling.Logprobs, r.Sampling.TopLogprobs = true, 20
	left.Store(20) // past the prompt, into the answer
	conn := p.open(wire.StreamKind_STREAM_KIND_GENERATE, r)
	if err := wire.ReadFrame(conn, &wire.GenerateEvent{}); err != nil {
		t.Fatal(err)
	}
	for left.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	left.Store(plenty)
	last := p.until(agent, func(ev *wire.EngineEvent) bool {
		s := ev.GetStats()
		return s.GetFinished()+s.GetCancelled() == 2 && s.GetRunning() == 0
	})
	if s := last[len(last)-1].GetStats(); s.GetCancelled() != 1 || s.GetPagesUsed() != 0 {
		t.Errorf("%d cancelled, %d pages in use after %d of %d tokens", s.GetCancelled(), s.GetPagesUsed(), s.GetGeneratedTokens(), most)
	}
}
