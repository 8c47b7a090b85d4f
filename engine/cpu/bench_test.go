package cpu_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// BenchmarkDecode gives tokens per second of steps of one token a row.
func BenchmarkDecode(b *testing.B) {
	for _, threads := range []uint32{1, 2} {
		for _, batch := range []int{1, 8} {
			b.Run(fmt.Sprintf("threads=%d/batch=%d", threads, batch), func(b *testing.B) {
				r := benched(b, threads)
				for i := range batch {
					r.open(uint32(i))
				}
				began := cpuTime()
				for b.Loop() {
					r.steps(b, batch, 1)
				}
				rates(b, batch*b.N, began)
			})
		}
	}
}

// BenchmarkPrefill gives tokens per second of one row of 256.
func BenchmarkPrefill(b *testing.B) {
	for _, threads := range []uint32{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			r := benched(b, threads)
			began := cpuTime()
			for b.Loop() {
				r.open(0)
				r.steps(b, 1, 256)
			}
			rates(b, 256*b.N, began)
		})
	}
}

// rates reports tokens per second, and per second of the process's own time, which
// means more with one thread on a machine that others use.
func rates(b *testing.B, tokens int, began time.Duration) {
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tok/s")
	b.ReportMetric(float64(tokens)/(cpuTime()-began).Seconds(), "tok/cpu-s")
}

// cpuTime is what the process has run so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bencher runs steps of equal rows in the first slots; a slot at its end reopens.
type bencher struct {
	backend interface {
		OpenSlot(*abi.Slot) error
		CloseSlot(uint32) error
		Submit(*abi.Step) error
		Wait(uint64, *abi.Result, time.Duration) error
	}
	seq    uint64
	length [16]int
	opened [16]bool
	result abi.Result
}

func benched(b *testing.B, threads uint32) *bencher {
	l := limits
	l.Threads, l.Pages = threads, 128
	e, _ := load(b, smollm2(b), l)
	return &bencher{backend: e}
}

func (r *bencher) open(slot uint32) {
	if r.opened[slot] {
		r.backend.CloseSlot(slot)
	}
	r.opened[slot], r.length[slot] = true, 0
	spec := &abi.Slot{Slot: slot, Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1}}
	if err := r.backend.OpenSlot(spec); err != nil {
		panic(err)
	}
}

func (r *bencher) steps(b *testing.B, rows, tokens int) {
	r.seq++
	s := &abi.Step{Seq: r.seq}
	for i := range rows {
		if r.length[i]+tokens > 256 {
			r.open(uint32(i))
		}
		s.Rows = append(s.Rows, abi.Row{Slot: uint32(i), Tokens: uint32(tokens), Flags: abi.RowSample})
		for p := r.length[i]; p < r.length[i]+tokens; p++ {
			if p%abi.PageLen == 0 {
				page := uint32(p / abi.PageLen)
				s.Pages = append(s.Pages, abi.PageDelta{Slot: uint32(i), Index: page, Page: uint32(i)*8 + page})
			}
			s.Tokens = append(s.Tokens, int32(100+p))
		}
		r.length[i] += tokens
	}
	if err := r.backend.Submit(s); err != nil {
		b.Fatal(err)
	}
	if err := r.backend.Wait(r.seq, &r.result, time.Minute); err != nil {
		b.Fatal(err)
	}
}
