package router

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/wire"
)

// What an engine computes has a name of its own; who asks, when and for how much has no
// part in it.
func TestFingerprint(t *testing.T) {
	base := func() *wire.GenerateRequest {
		return &wire.GenerateRequest{Project: "p", Prompt: []int32{1, 2, 3}, Sampling: &wire.Sampling{Temperature: proto.Float32(1)}}
	}
	want := fingerprintOf("v1", base())
	for name, alter := range map[string]func(*wire.GenerateRequest){
		"request id": func(q *wire.GenerateRequest) { q.RequestId = "r" },
		"instance":   func(q *wire.GenerateRequest) { q.Instance = "i" },
		"length":     func(q *wire.GenerateRequest) { q.MaxTokens = 7 },
		"seed":       func(q *wire.GenerateRequest) { q.Seed = proto.Uint64(7) },
		"choice":     func(q *wire.GenerateRequest) { q.Choice = 2 },
		"salt":       func(q *wire.GenerateRequest) { q.CacheSalt = []byte("x") },
	} {
		q := base()
		alter(q)
		if fingerprintOf("v1", q) != want {
			t.Errorf("%s changes it", name)
		}
	}
	for name, alter := range map[string]func(*wire.GenerateRequest){
		"prompt":      func(q *wire.GenerateRequest) { q.Prompt[2] = 4 },
		"order":       func(q *wire.GenerateRequest) { q.Prompt = []int32{3, 2, 1} },
		"longer":      func(q *wire.GenerateRequest) { q.Prompt = append(q.Prompt, 0) },
		"temperature": func(q *wire.GenerateRequest) { q.Sampling.Temperature = proto.Float32(0.5) },
		"project":     func(q *wire.GenerateRequest) { q.Project = "other" },
		"adapter":     func(q *wire.GenerateRequest) { q.Adapter = "a" },
		"pooling":     func(q *wire.GenerateRequest) { q.Pool = wire.Pooling_POOLING_MEAN },
	} {
		q := base()
		alter(q)
		if fingerprintOf("v1", q) == want {
			t.Errorf("%s does not change it", name)
		}
	}
	if fingerprintOf("v2", base()) == want {
		t.Error("the version does not change it")
	}
}

func TestPoisonsAreForgotten(t *testing.T) {
	now := time.Unix(1000, 0)
	var p poisons
	name := func(n int) (f fingerprint) { copy(f[:], fmt.Sprint(n)); return f }
	p.remember(name(1), now)
	if got := p.refused(name(1), now.Add(poisonFor-1)); !got.Equal(now.Add(poisonFor)) {
		t.Errorf("refused until %v", got)
	}
	if got := p.refused(name(1), now.Add(poisonFor)); !got.IsZero() || len(p.order) != 0 {
		t.Errorf("after its time refused until %v, %d are kept", got, len(p.order))
	}
	for n := range poisonMax + 1 {
		p.remember(name(n), now)
	}
	if !p.refused(name(0), now).IsZero() || p.refused(name(1), now).IsZero() || p.refused(name(poisonMax), now).IsZero() {
		t.Error("of one too many, not the oldest was forgotten")
	}
}

func TestPoisonsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p poisons
		now := time.Unix(0, 0)
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * time.Minute)
			f := fingerprint{byte(rapid.IntRange(0, 9).Draw(t, "which"))}
			p.remember(f, now)
			if until := p.refused(f, now); !until.After(now) || until.After(now.Add(poisonFor)) {
				t.Fatalf("at %v refused until %v", now, until)
			}
			if len(p.order) != len(p.until) || len(p.order) > poisonMax {
				t.Fatalf("%d in order, %d by name", len(p.order), len(p.until))
			}
		}
	})
}

// poisonToken in front of a prompt ends the engine of the fleet in memory.
const poisonToken = 666

// crowd asks for n healthy sequences and reports what came of them.
func (f *fleet) crowd(t *testing.T, r *Router, n, length int) func() {
	done := make(chan answer)
	for i := range n {
		go func() {
			q := ask(1, 2, int32(i))
			q.MaxTokens = uint32(length)
			done <- generate(t.Context(), r, q)
		}()
	}
	return func() {
		t.Helper()
		for range n {
			a := <-done
			if a.err != nil || a.finished.GetGeneratedTokens() != uint32(length) {
				t.Errorf("a healthy sequence ended with %v, %v", a.finished, a.err)
			}
		}
	}
}

func poisoned(length, after int) *wire.GenerateRequest {
	q := ask(poisonToken, int32(after))
	q.MaxTokens = uint32(length)
	return q
}

// A request that ends its engine twice fails alone, wherever in its life it does so and
// however young its neighbours are, and is refused from then on.
func TestPoisonFailsAlone(t *testing.T) {
	for _, c := range []struct {
		name  string
		after int           // tokens after which it ends the engine
		head  time.Duration // how much earlier the others came
	}{
		{"in its prompt, beside old ones", 0, 30 * time.Millisecond},
		{"in its prompt, beside new ones", 0, 0},
		{"while all decode", 20, 30 * time.Millisecond},
		{"while all decode, all new", 3, 0},
	} {
		inTime(t, func(t *testing.T) {
			f := newFleet("a")
			f.list[0].MaxRunning = 16
			f.pace = time.Millisecond
			r := f.router()
			healthy := f.crowd(t, r, 8, 200)
			time.Sleep(c.head)
			a := generate(t.Context(), r, poisoned(100, c.after))
			var p *PoisonError
			if !errors.As(a.err, &p) || p.Again || f.deaths != sentence {
				t.Errorf("%s: %v after %d deaths", c.name, a.err, f.deaths)
			}
			began := time.Now()
			again := poisoned(50, c.after)
			again.RequestId = "another"
			if a = generate(t.Context(), r, again); !errors.As(a.err, &p) || !p.Again || time.Since(began) != 0 {
				t.Errorf("%s: sent again: %v after %v", c.name, a.err, time.Since(began))
			}
			healthy()
			if f.deaths != sentence || r.Poisoned() != 2 {
				t.Errorf("%s: %d deaths, %d poisoned", c.name, f.deaths, r.Poisoned())
			}
			time.Sleep(poisonFor)
			if a = generate(t.Context(), r, again); !errors.As(a.err, &p) || p.Again {
				t.Errorf("%s: after its time: %v", c.name, a.err)
			}
		})
	}
}

// Copies of one poison cost two engines together.
func TestCopiesOfPoison(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		f.list[0].MaxRunning = 16
		f.pace = time.Millisecond
		r := f.router()
		healthy := f.crowd(t, r, 4, 100)
		done := make(chan answer)
		for range 8 {
			go func() { done <- generate(t.Context(), r, poisoned(20, 0)) }()
		}
		for range 8 {
			var p *PoisonError
			if a := <-done; !errors.As(a.err, &p) {
				t.Errorf("a copy ended with %v, %v", a.finished, a.err)
			}
		}
		healthy()
		if f.deaths != sentence {
			t.Errorf("%d deaths, want %d", f.deaths, sentence)
		}
	})
}

// An engine that is killed again and again for reasons of its own convicts nobody, as
// long as sequences get on in between.
func TestOthersKillEngines(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		f.pace = time.Millisecond
		r := f.router()
		healthy := f.crowd(t, r, 1, 1000)
		for range 3 {
			time.Sleep(400 * time.Millisecond)
			f.kill("na")
		}
		healthy()
	})
}

// A suspect that waits for its turn gives up at its deadline and at its context's end.
func TestSuspectGivesUp(t *testing.T) {
	inTime(t, func(t *testing.T) {
		f := newFleet("a")
		f.list[0].MaxRunning = 16
		f.pace = 100 * time.Millisecond
		r := f.router()
		late := ask(7)
		late.MaxTokens, late.DeadlineUnixMs = 50, time.Now().Add(time.Second).UnixMilli()
		done := make(chan answer)
		other := f.crowd(t, r, 1, 50)
		time.Sleep(10 * time.Millisecond)
		go func() { done <- generate(t.Context(), r, late) }()
		time.Sleep(385 * time.Millisecond) // the other is the first to tell of the end
		began := time.Now()
		f.kill("na")
		if a := <-done; !errors.Is(a.err, ErrDeadline) || time.Since(began) > 800*time.Millisecond {
			t.Errorf("%v after %v", a.err, time.Since(began))
		}
		other()
	})
}
