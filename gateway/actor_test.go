package gateway

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"github.com/nanofleet/nanofleet/wire"
)

// meta is the tiny model without its weights.
var meta = sync.OnceValues(func() (*model.Meta, error) { return model.LoadMeta(tiny.GGUF()) })

func tinyMeta(t testing.TB) *model.Meta {
	t.Helper()
	m, err := meta()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// stage is a gateway over the tiny model's tokenizer and template, with an actor
// in the engine's place and twins around it that remember.
type stage struct {
	*Gateway
	actor   *actor
	limiter *ledger
	audit   *memoryAudit
}

func newStage(t testing.TB) *stage {
	m := tinyMeta(t)
	s := &stage{actor: newActor(t, m), limiter: &ledger{}, audit: &memoryAudit{}}
	s.Gateway = New(Deps{
		Auth: oneKey{}, Catalog: shelf{m}, Router: s.actor, Limit: s.limiter, Audit: s.audit,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	return s
}

const testKey = "Bearer nf-test"

// oneKey admits testKey.
type oneKey struct{}

func (oneKey) Authenticate(_ context.Context, header string) (Identity, error) {
	if header != testKey {
		return Identity{}, &Error{Message: "Incorrect API key provided."}
	}
	return Identity{KeyID: "key-1", Project: "default"}, nil
}

// shelf is a catalog of the tiny model: as "tiny", and as "bare" without a template.
type shelf struct{ meta *model.Meta }

func (c shelf) Resolve(project, name string) (*Model, error) {
	m := &Model{Name: name, Tokenizer: c.meta.Tokenizer, Template: c.meta.Template, Context: int(c.meta.Context), Width: 4, BOS: c.meta.BOSText, EOS: c.meta.EOSText}
	switch {
	case project != "default", name != "tiny" && name != "bare" && name != "broken":
		return nil, ErrNoModel
	case name == "broken":
		return nil, io.ErrUnexpectedEOF
	case name == "bare":
		m.Template = nil
	}
	return m, nil
}

func (shelf) List(string) []ModelInfo {
	return []ModelInfo{{Name: "bare", Created: time.Unix(1, 0)}, {Name: "tiny", Created: time.Unix(2, 0)}}
}

// ledger grants tokens until it is told to refuse.
type ledger struct {
	mu       sync.Mutex
	refuse   error
	reserved []int
	used     []int
}

func (l *ledger) Reserve(_ context.Context, _ Identity, _ string, tokens int) (func(int), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return nil, l.refuse
	}
	l.reserved = append(l.reserved, tokens)
	return func(used int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.used = append(l.used, used)
	}, nil
}

// memoryAudit keeps records.
type memoryAudit struct {
	mu      sync.Mutex
	records []Record
}

func (a *memoryAudit) Record(_ context.Context, r Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, r)
}

func (a *memoryAudit) last() Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.records) == 0 {
		return Record{}
	}
	return a.records[len(a.records)-1]
}

// actor is a Router that knows the tiny model's answers by heart and gives them a
// token at a time, as an engine does. Its fields stage faults.
type actor struct {
	meta    *model.Meta
	answers map[string]string // by prompt ids

	mu       sync.Mutex
	requests []*wire.GenerateRequest
	refuse   error                                             // by Generate
	likely   func(choice uint32) float32                       // the logprob of each token; nil: -1/8
	cut      func([]*wire.GenerateEvent) []*wire.GenerateEvent // how tokens come; nil: one by one
	vector   []float32                                         // what pooling gives; nil: by the prompt's length
	event    func(i int, ev *wire.GenerateEvent) error         // before each event
	running  int
}

func newActor(t testing.TB, m *model.Meta) *actor {
	t.Helper()
	known, err := answers()
	if err != nil {
		t.Fatal(err)
	}
	return &actor{meta: m, answers: known}
}

// answers are all that the tiny model was taught, by prompt ids.
var answers = sync.OnceValues(func() (map[string]string, error) {
	m, err := meta()
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	q := tiny.Ask()
	for _, c := range q.Chats {
		ids, err := (&Model{Tokenizer: m.Tokenizer, Template: m.Template, BOS: m.BOSText, EOS: m.EOSText}).render(spoken(c.Messages))
		if err != nil {
			return nil, err
		}
		known[key(ids)] = c.Answer
	}
	for _, c := range q.Completions {
		known[key(m.Tokenizer.Encode(c.Prompt, tokenizer.EncodeOptions{AddBOS: true}))] = c.Answer
	}
	return known, nil
})

func key(ids []int32) string {
	b := make([]byte, 0, 2*len(ids))
	for _, id := range ids {
		b = append(b, byte(id), byte(id>>8))
	}
	return string(b)
}

// Generate plays one sequence.
func (a *actor) Generate(ctx context.Context, _ string, req *wire.GenerateRequest) (Stream, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return nil, a.refuse
	}
	a.requests = append(a.requests, req)
	a.running++
	answer, ok := a.answers[key(req.GetPrompt())]
	if !ok {
		answer = tiny.Unknown
	}
	return &scene{ctx: ctx, actor: a, events: a.events(req, answer), event: a.event}, nil
}

// sequences are the requests so far.
func (a *actor) sequences() []*wire.GenerateRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

func (a *actor) active() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running
}

// events are those of an answer.
func (a *actor) events(req *wire.GenerateRequest, answer string) []*wire.GenerateEvent {
	prompt := uint32(len(req.GetPrompt()))
	end := &wire.Finished{PromptTokens: prompt, CachedTokens: prompt / 64 * 64, QueueUs: 100, PrefillUs: 200, DecodeUs: 300}
	list := []*wire.GenerateEvent{{Event: &wire.GenerateEvent_Accepted{Accepted: &wire.Accepted{PromptTokens: prompt, CachedTokens: prompt / 64 * 64, NumericsId: "ref-1"}}}}
	list = append(list, a.promptEvents(req)...)
	if req.GetPool() != wire.Pooling_POOLING_NONE {
		list = append(list, &wire.GenerateEvent{Event: &wire.GenerateEvent_Pooled{Pooled: &wire.Pooled{Values: a.pooled(req)}}})
		end.Reason = wire.FinishReason_FINISH_REASON_STOP
	} else {
		tokens := a.tokenEvents(req, answer, end)
		if a.cut != nil {
			tokens = a.cut(tokens)
		}
		list = append(list, tokens...)
	}
	return append(list, &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: end}})
}

// tokenEvents give the answer's tokens one by one, stopped as an engine stops them.
func (a *actor) tokenEvents(req *wire.GenerateRequest, answer string, end *wire.Finished) (list []*wire.GenerateEvent) {
	ids := a.meta.Tokenizer.Encode(answer, tokenizer.EncodeOptions{})
	text, stops := a.meta.Tokenizer.NewStream(true), sample.NewStops(req.GetStop(), req.GetIncludeStop())
	end.Reason = wire.FinishReason_FINISH_REASON_STOP
	for i, id := range ids {
		end.GeneratedTokens++
		t := &wire.Tokens{Ids: []int32{id}}
		end.HasStopToken = slices.Contains(req.GetStopTokens(), id)
		last := i == len(ids)-1 || i == int(req.GetMaxTokens())-1 || end.HasStopToken
		if end.HasStopToken {
			end.StopToken = id
		} else {
			t.Text, end.StopString, _ = stops.Push(text.Push(id))
		}
		if last && end.StopString == "" {
			rest, matched, _ := stops.Push(text.Flush())
			if end.StopString = matched; matched == "" {
				rest += stops.Flush()
			}
			t.Text += rest
		}
		if req.GetSampling().GetLogprobs() {
			t.Logprobs = []*wire.Logprob{a.logprob(id, req.GetChoice(), int(req.GetSampling().GetTopLogprobs()))}
		}
		list = append(list, &wire.GenerateEvent{Event: &wire.GenerateEvent_Tokens{Tokens: t}})
		if last && i < len(ids)-1 && end.StopString == "" && !end.HasStopToken {
			end.Reason = wire.FinishReason_FINISH_REASON_LENGTH
		}
		if last || end.StopString != "" {
			break
		}
	}
	return list
}

// promptEvents tell of the prompt's tokens, three at a time.
func (a *actor) promptEvents(req *wire.GenerateRequest) (list []*wire.GenerateEvent) {
	if req.PromptLogprobs == nil {
		return nil
	}
	for ids := range slices.Chunk(req.GetPrompt()[1:], 3) {
		p := &wire.PromptLogprobs{}
		for _, id := range ids {
			l := a.logprob(id, 0, int(req.GetPromptLogprobs()))
			l.Rank = 2
			p.Tokens = append(p.Tokens, l)
		}
		list = append(list, &wire.GenerateEvent{Event: &wire.GenerateEvent_PromptLogprobs{PromptLogprobs: p}})
	}
	return list
}

// pooled is a vector of four values.
func (a *actor) pooled(req *wire.GenerateRequest) []float32 {
	if a.vector != nil {
		return a.vector
	}
	return []float32{float32(len(req.GetPrompt())), 2, -4, float32(req.GetPool())}
}

// logprob is that of a token, and of the ids behind it.
func (a *actor) logprob(id int32, choice uint32, top int) *wire.Logprob {
	p := float32(-0.125)
	if a.likely != nil {
		p = a.likely(choice)
	}
	l := &wire.Logprob{Id: id, Token: a.meta.Tokenizer.TokenBytes(id), Logprob: p}
	for k := range top {
		other := id + int32(k)
		l.Top = append(l.Top, &wire.Logprob{Id: other, Token: a.meta.Tokenizer.TokenBytes(other), Logprob: p - float32(k)})
	}
	return l
}

// scene is one stream.
type scene struct {
	ctx    context.Context
	actor  *actor
	events []*wire.GenerateEvent
	event  func(int, *wire.GenerateEvent) error
	at     int
}

func (s *scene) Recv() (*wire.GenerateEvent, error) {
	if s.at == len(s.events) {
		return nil, io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	ev := s.events[s.at]
	if s.event != nil {
		if err := s.event(s.at, ev); err != nil {
			return nil, err
		}
	}
	s.at++
	return ev, nil
}

func (s *scene) Close() error {
	s.actor.mu.Lock()
	defer s.actor.mu.Unlock()
	s.actor.running--
	return nil
}
