package router

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nanofleet/nanofleet/wire"
)

// fleet is a fleet in memory. Its engines continue a prompt by counting: the token
// after n tokens is n plus the seed, and its text the number.
type fleet struct {
	mu      sync.Mutex
	list    []Candidate
	known   bool
	changed chan struct{}
	engines map[string]*engine // by node
	pace    time.Duration      // of one token
	deaths  int                // of engines that a request killed
}

// engine is how the instance on a node behaves, request by request; without an entry
// it answers well.
type engine struct {
	script   []fault
	requests []*wire.GenerateRequest
	lives    int // how often it was killed
}

// fault of one request: an error instead of a stream, an event or a break after some tokens.
type fault struct {
	dial   error
	tokens int
	event  *wire.GenerateEvent // then this; nil: the stream breaks
}

func newFleet(names ...string) *fleet {
	f := &fleet{known: true, changed: make(chan struct{}), engines: map[string]*engine{}}
	for _, n := range names {
		f.list = append(f.list, Candidate{Instance: "i" + n, Node: "n" + n, Version: "v1", Ready: true, MaxRunning: 4})
		f.engines["n"+n] = &engine{}
	}
	return f
}

func (f *fleet) Candidates(string, string) ([]Candidate, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Candidate(nil), f.list...), f.known
}

func (f *fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// change alters the fleet and tells of it.
func (f *fleet) change(alter func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	alter()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fleet) Generate(ctx context.Context, node string, req *wire.GenerateRequest) (EventStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.engines[node]
	var now *fault
	if len(e.script) > 0 {
		now = &e.script[0]
		e.script = e.script[1:]
	}
	e.requests = append(e.requests, req)
	if now != nil && now.dial != nil {
		return nil, now.dial
	}
	for i := range f.list {
		if f.list[i].Node == node {
			f.list[i].InFlight++
		}
	}
	return &run{f: f, ctx: ctx, node: node, req: req, fault: now, life: e.lives}, nil
}

// kill ends an engine, which is back at once.
func (f *fleet) kill(node string) {
	f.change(func() { f.restart(node) })
}

func (f *fleet) restart(node string) {
	f.engines[node].lives++
	for i := range f.list {
		if f.list[i].Node == node {
			f.list[i].Restarts++
		}
	}
}

// dead tells whether the engine of a run has ended.
func (r *run) dead() bool {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	e := r.f.engines[r.node]
	poison := r.req.GetPrompt()[0] == poisonToken && int(r.req.GetResumed())+r.ids >= int(r.req.GetPrompt()[1])
	if poison && r.life == e.lives && r.accepted {
		r.f.restart(r.node)
		r.f.deaths++
	}
	return r.life != e.lives
}

// run is one request at an engine.
type run struct {
	f        *fleet
	ctx      context.Context
	node     string
	req      *wire.GenerateRequest
	fault    *fault
	accepted bool
	ids      int
	life     int // of its engine
}

func (r *run) Recv() (*wire.GenerateEvent, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, err
	}
	time.Sleep(r.f.pace)
	if r.dead() {
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Error{Error: &wire.Error{Code: wire.ErrorCode_ERROR_CODE_UNAVAILABLE, EngineEnded: true}}}, nil
	}
	if r.fault != nil && r.ids == r.fault.tokens && (r.accepted || r.fault.tokens == 0) {
		if r.fault.event == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return r.fault.event, nil
	}
	if !r.accepted {
		r.accepted = true
		seed := uint64(1000)
		if r.req.Seed != nil {
			seed = r.req.GetSeed()
		}
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Accepted{Accepted: &wire.Accepted{
			Seed: seed, PromptTokens: uint32(len(r.req.GetPrompt())), CachedTokens: 1, NumericsId: "num-" + r.node, Instance: r.req.GetInstance(),
		}}}, nil
	}
	if r.ids == int(r.req.GetMaxTokens()) {
		return &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: &wire.Finished{
			Reason: wire.FinishReason_FINISH_REASON_LENGTH, PromptTokens: uint32(len(r.req.GetPrompt())), GeneratedTokens: uint32(r.ids),
		}}}, nil
	}
	seed := 1000
	if r.req.Seed != nil {
		seed = int(r.req.GetSeed())
	}
	id := len(r.req.GetPrompt()) + r.ids + seed
	r.ids++
	return tokens(strconv.Itoa(id)+" ", int32(id)), nil
}

func (r *run) Close() error {
	r.f.change(func() {
		for i := range r.f.list {
			if r.f.list[i].Node == r.node {
				r.f.list[i].InFlight--
			}
		}
	})
	return nil
}

func tokens(text string, ids ...int32) *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Tokens{Tokens: &wire.Tokens{Ids: ids, Text: text}}}
}

func errorEvent(code wire.ErrorCode) *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Error{Error: &wire.Error{Code: code, Message: code.String()}}}
}

func finished(reason wire.FinishReason) *wire.GenerateEvent {
	return &wire.GenerateEvent{Event: &wire.GenerateEvent_Finished{Finished: &wire.Finished{Reason: reason}}}
}

func ask(prompt ...int32) *wire.GenerateRequest {
	return &wire.GenerateRequest{RequestId: "r1", Project: "default", Prompt: prompt, MaxTokens: 5, MinTokens: 2}
}

// answer is all a client sees of a request.
type answer struct {
	text     string
	accepted []*wire.Accepted
	finished *wire.Finished
	err      error
}

func (f *fleet) router() *Router { return New(DefaultConfig(), f, f, time.Now) }

func generate(ctx context.Context, r *Router, req *wire.GenerateRequest) (a answer) {
	s, err := r.Generate(ctx, "m", req)
	if err != nil {
		return answer{err: err}
	}
	defer s.Close()
	for {
		ev, err := s.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.err = err
			}
			return a
		}
		a.text += ev.GetTokens().GetText()
		if x := ev.GetAccepted(); x != nil {
			a.accepted = append(a.accepted, x)
		}
		if x := ev.GetFinished(); x != nil {
			a.finished = x
		}
	}
}

// inTime runs a test under a clock that stands still while anything can go on.
func inTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

const wholeText = "1003 1004 1005 1006 1007 "

// Whatever happens to the instances, the client sees one whole sequence.
func TestClientSeesAPauseAtMost(t *testing.T) {
	gone := errors.New("not connected")
	for _, c := range []struct {
		name  string
		first []fault // of instance a; b answers well
	}{
		{"nothing happens", nil},
		{"not connected", []fault{{dial: gone}}},
		{"breaks before it accepts", []fault{{}}},
		{"busy", []fault{{event: errorEvent(wire.ErrorCode_ERROR_CODE_BUSY)}}},
		{"unavailable", []fault{{event: errorEvent(wire.ErrorCode_ERROR_CODE_UNAVAILABLE)}}},
		{"breaks after a token", []fault{{tokens: 1}}},
		{"breaks after four", []fault{{tokens: 4}}},
		{"breaks between the last token and the end", []fault{{tokens: 5}}},
		{"unavailable after two", []fault{{tokens: 2, event: errorEvent(wire.ErrorCode_ERROR_CODE_UNAVAILABLE)}}},
		{"is emptied after three", []fault{{tokens: 3, event: finished(wire.FinishReason_FINISH_REASON_CANCELLED)}}},
		{"breaks, and is away for a while", []fault{{tokens: 2}, {dial: gone}, {dial: gone}, {dial: gone}, {dial: gone}, {dial: gone}}},
		{"breaks thrice", []fault{{tokens: 1}, {tokens: 1}, {tokens: 1}}},
	} {
		for _, names := range [][]string{{"a"}, {"a", "b"}} {
			inTime(t, func(t *testing.T) {
				f := newFleet(names...)
				f.engines["na"].script = c.first
				asked := ask(1, 2, 3)
				a := generate(t.Context(), f.router(), asked)
				if a.err != nil || a.text != wholeText || len(a.accepted) != 1 {
					t.Fatalf("%s, %d instances: %q, accepted %v, %v", c.name, len(names), a.text, a.accepted, a.err)
				}
				got := a.finished
				if got.GetPromptTokens() != 3 || got.GetGeneratedTokens() != 5 || got.GetCachedTokens() != 1 || got.GetReason() != wire.FinishReason_FINISH_REASON_LENGTH {
					t.Errorf("%s: finished %v", c.name, got)
				}
				if !proto.Equal(asked, ask(1, 2, 3)) {
					t.Errorf("%s: the request was changed to %v", c.name, asked)
				}
				for _, x := range f.list {
					if x.InFlight != 0 {
						t.Errorf("%s: %d streams of %s are open", c.name, x.InFlight, x.Instance)
					}
				}
			})
		}
	}
}

// Instances that do not take the rest of a request have not resumed it.
func TestResumedOnce(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a", "b", "c")
		f.engines["na"].script = []fault{{tokens: 3}}
		f.engines["nb"].script = []fault{{event: errorEvent(wire.ErrorCode_ERROR_CODE_UNAVAILABLE)}}
		r := f.router()
		if a := generate(t.Context(), r, ask(1, 2, 3)); a.err != nil || len(f.engines["nb"].requests) != 1 {
			t.Errorf("%v after %d requests to the one that refuses", a.err, len(f.engines["nb"].requests))
		}
		if r.Resumed() != 1 {
			t.Errorf("%d requests were resumed, want 1", r.Resumed())
		}
	})
}

// What a second instance is asked is the rest: ids so far, the seed that was drawn,
// fewer tokens, and a mark.
func TestResumedRequest(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a", "b")
		f.engines["na"].script = []fault{{tokens: 3}}
		r := f.router()
		generate(t.Context(), r, ask(1, 2, 3))
		if r.Resumed() != 1 {
			t.Errorf("%d requests were resumed, want 1", r.Resumed())
		}
		want := ask(1, 2, 3, 1003, 1004, 1005)
		want.Instance, want.Seed, want.Resumed = "ib", proto.Uint64(1000), 3
		want.MaxTokens, want.NumericsId = 2, "num-na"
		if got := f.engines["nb"].requests; len(got) != 1 || !proto.Equal(got[0], want) {
			t.Errorf("asked %v\nwant  %v", got, want)
		}
	})
}

// An instance of another version does not go on with a sequence.
func TestResumesOnTheSameVersionOnly(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a", "b")
		f.list[1].Version = "v2"
		f.engines["na"].script = []fault{{tokens: 2}, {dial: errors.New("not connected")}}
		if a := generate(t.Context(), f.router(), ask(1, 2, 3)); a.text != wholeText || len(f.engines["nb"].requests) != 0 {
			t.Errorf("%q, %v; the other version was asked %d times", a.text, a.err, len(f.engines["nb"].requests))
		}
	})
}

// A sequence whose end was lost is ended by what its last token says.
func TestLostEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		alter  func(*wire.GenerateRequest, *Candidate)
		text   string
		reason wire.FinishReason
	}{
		{"end of text", func(_ *wire.GenerateRequest, c *Candidate) { c.EOS = []int32{1005} }, "1003 1004 1005 ", wire.FinishReason_FINISH_REASON_STOP},
		{"stop token", func(q *wire.GenerateRequest, _ *Candidate) { q.StopTokens = []int32{1005} }, "1003 1004 1005 ", wire.FinishReason_FINISH_REASON_STOP},
		{"end of text is ignored", func(q *wire.GenerateRequest, c *Candidate) { c.EOS, q.IgnoreEos = []int32{1005}, true }, wholeText, wire.FinishReason_FINISH_REASON_LENGTH},
		{"too early to stop", func(q *wire.GenerateRequest, c *Candidate) { c.EOS, q.MinTokens = []int32{1005}, 4 }, wholeText, wire.FinishReason_FINISH_REASON_LENGTH},
	} {
		inTime(t, func(t *testing.T) {
			f := newFleet("a")
			req := ask(1, 2, 3)
			c.alter(req, &f.list[0])
			f.engines["na"].script = []fault{{tokens: 3}}
			a := generate(t.Context(), f.router(), req)
			if a.text != c.text || a.finished.GetReason() != c.reason || a.err != nil {
				t.Errorf("%s: %q, %v, %v", c.name, a.text, a.finished, a.err)
			}
		})
	}
}

// A context that is full by the tokens of a dead engine ends the sequence by length.
func TestResumedIntoAFullContext(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		req := ask(1, 2, 3)
		req.MaxTokens = 9
		f.engines["na"].script = []fault{{tokens: 2}, {event: errorEvent(wire.ErrorCode_ERROR_CODE_CONTEXT_LENGTH)}}
		a := generate(t.Context(), f.router(), req)
		if a.text != "1003 1004 " || a.finished.GetReason() != wire.FinishReason_FINISH_REASON_LENGTH || a.err != nil {
			t.Errorf("%q, %v, %v", a.text, a.finished, a.err)
		}
	})
}
