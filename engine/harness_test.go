package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/chat/jinja"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// limits are small, so that sixteen requests share steps, wait and lose their pages.
func limits() abi.Limits {
	return abi.Limits{MaxSlots: 16, MaxRows: 16, MaxTokens: 128, MaxPositions: 512, Pages: 64, Threads: 1, Invariant: true}
}

// rig is an engine over the reference backend and the tiny model.
type rig struct {
	*engine.Engine
	t    *testing.T
	meta *model.Meta
	stop context.CancelFunc
	done chan error
}

// start runs an engine. change, when not nil, may alter its configuration first.
func start(t *testing.T, l abi.Limits, change func(*engine.Config)) *rig {
	t.Helper()
	b, err := ref.New(l)
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, b, l, func([]byte, int, *abi.Op) {}, change)
}

// startOn runs an engine over a backend that has no plan yet and a model that may be
// harmed.
func startOn(t *testing.T, b engine.Backend, l abi.Limits, harm golden.Harm, change func(*engine.Config)) *rig {
	t.Helper()
	t.Cleanup(func() { b.Close() })
	m, err := model.Load(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	plan, tensors, err := golden.Split(m, harm)
	if err != nil {
		t.Fatal(err)
	}
	golden.Fill(t, b, plan, golden.Each(tensors))
	cfg := engine.Config{Backend: b, Limits: l, Vocab: tiny.Vocab, Tokenizer: m.Tokenizer, EOS: m.EOS, Width: plan.PoolWidth(), Queue: 64}
	if change != nil {
		change(&cfg)
	}
	return run(t, cfg, &m.Meta)
}

func run(t *testing.T, cfg engine.Config, meta *model.Meta) *rig {
	t.Helper()
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{Engine: e, t: t, meta: meta, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// chat is the prompt of one question.
func (r *rig) chat(question string) []int32 {
	r.t.Helper()
	return r.conversation([]tiny.Message{{Role: "user", Content: question}})
}

// conversation is the prompt of a conversation that ends with the user.
func (r *rig) conversation(said []tiny.Message) []int32 {
	r.t.Helper()
	b, err := json.Marshal(said)
	if err != nil {
		r.t.Fatal(err)
	}
	messages, err := chat.ParseOrderedJSON(b)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := r.meta.Template.Render(chat.Input{Messages: messages.(*jinja.List).Items(), AddGenerationPrompt: true, BOS: r.meta.BOSText, EOS: r.meta.EOSText})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.meta.Tokenizer.Encode(text, tokenizer.EncodeOptions{ParseSpecial: true})
}

// greedy is a request at temperature 0.
func greedy(prompt []int32) *engine.Request {
	s := sample.Defaults()
	s.Temperature = 0
	return &engine.Request{Prompt: prompt, Sampling: s, MaxTokens: 64}
}

// answer is everything a sequence gave.
type answer struct {
	accepted engine.Accepted
	ids      []int32
	text     string
	logprobs []float32
	prompt   []engine.TokenLogprob
	vector   []float32
	finished engine.Finished
	err      error
}

func (r *rig) submit(req *engine.Request) *engine.Sequence {
	r.t.Helper()
	s, err := r.Submit(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// atRest gives the figures once nothing is open: they follow the events of a step.
func (r *rig) atRest() engine.Stats {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		st := r.Stats()
		if st.Running == 0 && st.Waiting == 0 {
			return st
		}
		if time.Now().After(end) {
			r.t.Fatalf("sequences are open for a minute: %+v", st)
		}
	}
}

func (r *rig) ask(req *engine.Request) answer { return read(r.submit(req)) }

// read takes a sequence's events to their end.
func read(s *engine.Sequence) (a answer) {
	for {
		ev, err := s.Next(context.Background())
		if err != nil {
			if err != io.EOF {
				a.err = err
			}
			return a
		}
		switch ev := ev.(type) {
		case engine.Accepted:
			a.accepted = ev
		case engine.Tokens:
			a.ids = append(a.ids, ev.IDs...)
			a.text += ev.Text
			for _, l := range ev.Logprobs {
				a.logprobs = append(a.logprobs, l.Logprob)
			}
		case engine.PromptLogprobs:
			if a.ids != nil {
				a.err = errors.New("logprobs of the prompt come after a token")
			}
			a.prompt = append(a.prompt, ev.Tokens...)
		case engine.Pooled:
			a.vector = ev.Values
		case engine.Finished:
			a.finished = ev
		}
	}
}

var (
	encodePlain = tokenizer.EncodeOptions{}
	decodePlain = tokenizer.DecodeOptions{SkipSpecial: true}
)
