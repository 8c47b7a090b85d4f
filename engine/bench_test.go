package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// instant is a backend that computes nothing: every row samples token 300. What is
// left of a step is the engine's own work.
type instant struct {
	engine.Backend
	rows [abi.Queue + 1][]abi.Row
}

func (i *instant) OpenSlot(*abi.Slot) error { return nil }
func (i *instant) Stats() abi.Stats         { return abi.Stats{} }

func (i *instant) Submit(s *abi.Step) error {
	kept := &i.rows[s.Seq%uint64(len(i.rows))]
	*kept = append((*kept)[:0], s.Rows...)
	return nil
}

func (i *instant) Wait(seq uint64, r *abi.Result, _ time.Duration) error {
	rows := i.rows[seq%uint64(len(i.rows))]
	if cap(r.Rows) < len(rows) {
		r.Rows = make([]abi.ResultRow, len(rows))
	}
	r.Rows = r.Rows[:len(rows)]
	for n, row := range rows {
		r.Rows[n] = abi.ResultRow{Slot: row.Slot}
		if row.Flags&abi.RowSample != 0 {
			r.Rows[n].Accepted, r.Rows[n].Tokens[0] = 1, 300
		}
	}
	return nil
}

// BenchmarkStepOverhead is the engine's own time for one step of 64 decoding
// sequences, detokenised and read by 64 callers.
func BenchmarkStepOverhead(b *testing.B) {
	meta, err := model.LoadMeta(tiny.GGUF())
	if err != nil {
		b.Fatal(err)
	}
	const batch, context_ = 64, 4096
	e, err := engine.New(engine.Config{
		Backend: &instant{}, Vocab: tiny.Vocab, Tokenizer: meta.Tokenizer, EOS: meta.EOS, Queue: batch,
		Limits: abi.Limits{MaxSlots: batch, MaxRows: batch, MaxTokens: 512, MaxPositions: context_, Pages: batch * context_ / abi.PageLen},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	req := &engine.Request{Prompt: []int32{300, 301}, Sampling: sample.Defaults(), Seed: 1}
	for range batch {
		keepOpen(e, req, b)
	}
	go func() { done <- e.Run(ctx) }()
	for e.Stats().Steps < uint64(b.N) {
		time.Sleep(50 * time.Microsecond)
	}
	steps := e.Stats().Steps
	b.StopTimer()
	stop()
	<-done
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps)/batch, "ns/token")
}

// keepOpen submits req, reads it, and again when it has ended.
func keepOpen(e *engine.Engine, req *engine.Request, b *testing.B) {
	go func() {
		for {
			s, err := e.Submit(req)
			if err != nil {
				return // the engine has stopped
			}
			if a := read(s); a.err != nil {
				return
			}
		}
	}()
}
