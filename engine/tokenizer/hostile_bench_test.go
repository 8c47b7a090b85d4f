//go:build unix

package tokenizer

import (
	"maps"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostileRounds is how often a hostile text is encoded; English is once beside each.
const hostileRounds = 3

// BenchmarkHostile prints, for each kind and text, how many times longer than English
// of the same size it takes, and the worst of a kind. What counts is the time that the
// thread itself ran, the least of several turns: neighbours and the collector only add.
func BenchmarkHostile(b *testing.B) {
	const size = 1 << 20
	texts := hostileTexts(size)
	prose := english(b, size)
	for _, name := range kindNames {
		b.Run(name, func(b *testing.B) {
			tok := anyTokenizer(b, name)
			plain := least(tok, prose, hostileRounds)
			worst, of := 0.0, ""
			for _, kind := range slices.Sorted(maps.Keys(texts)) {
				b.Run(kind, func(b *testing.B) {
					var times float64
					for b.Loop() {
						plain = min(plain, least(tok, prose, 1))
						times = least(tok, texts[kind], hostileRounds) / plain
					}
					report(b, times, plain)
					if times > worst {
						worst, of = times, kind
					}
				})
			}
			b.Run("worst: "+of, func(b *testing.B) { report(b, worst, plain) })
		})
	}
}

func report(b *testing.B, times, plain float64) {
	b.ReportMetric(times, "x-english")
	b.ReportMetric(plain, "english-ns/byte")
	b.ReportMetric(0, "ns/op")
}

// least is the least time per byte that a text takes.
func least(tok *Tokenizer, text string, rounds int) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	took := math.Inf(1)
	for range rounds {
		took = min(took, perByte(tok, text))
	}
	return took
}

// perByte is the nanoseconds of this thread that a byte of a text takes.
func perByte(tok *Tokenizer, text string) float64 {
	from := threadTime()
	tok.Encode(text, EncodeOptions{})
	return float64(threadTime()-from) / float64(len(text))
}

// threadTime is how long this thread has run.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
