package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/wire"
)

// nowhere takes an answer and forgets it.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header            { return n.header }
func (nowhere) Write(b []byte) (int, error)      { return len(b), nil }
func (nowhere) WriteHeader(int)                  {}
func (nowhere) Flush()                           {}
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

// streaming is a streamed chat in its middle.
func streaming(n int) (*streamer, *part) {
	x := &exchange{w: nowhere{http.Header{}}, started: time.Now()}
	a := &answer{x: x, job: &job{options: &options{}, prompts: [][]int32{{1}}, model: &Model{Name: "tiny"}}, id: "chatcmpl-x"}
	a.shape = &chatShape{style: a.job.style(false)}
	s := &streamer{answer: a, out: newSSE(x), begun: make([]bool, n), prompt: make([][]*wire.Logprob, n)}
	p := &part{text: []byte(" word"), ids: []int32{1}}
	for i := range n {
		_ = s.part(i, &part{accepted: &wire.Accepted{NumericsId: "ref-1"}})
	}
	_ = s.part(0, p)
	_ = s.flush()
	return s, p
}

// TestStepAllocatesNothing sends a step of a stream.
func TestStepAllocatesNothing(t *testing.T) {
	s, p := streaming(1)
	if n := testing.AllocsPerRun(100, func() { _ = s.part(0, p); _ = s.flush() }); n > 0 {
		t.Errorf("%v allocations for each step", n)
	}
}

// BenchmarkStep writes one step's event.
func BenchmarkStep(b *testing.B) {
	s, p := streaming(1)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.part(0, p)
		_ = s.flush()
	}
}
