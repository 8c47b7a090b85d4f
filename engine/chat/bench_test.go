package chat

import (
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reportCPU adds the time that the process computed, which other work on the machine
// does not change much. The collector's share is in it.
func reportCPU(b *testing.B) func() {
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	from := spent()
	return func() { b.ReportMetric((spent()-from).Seconds()*1000/float64(b.N), "cpu-ms/op") }
}

// BenchmarkBombs times what each bomb costs before a limit ends it.
func BenchmarkBombs(b *testing.B) {
	in := Input{Messages: list(b, []byte(`[{"role":"user","content":"`+strings.Repeat("x", 1000)+`"}]`))}
	for _, name := range slices.Sorted(maps.Keys(bombs)) {
		tmpl, err := Parse(bombs[name])
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				if _, err := tmpl.Render(in); err == nil {
					b.Fatal("no limit ended it")
				}
			}
		})
	}
}

// BenchmarkSourceBombs parses a megabyte of each bad source.
func BenchmarkSourceBombs(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(sourceBombs)) {
		source := sourceBombs[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				_, _ = Parse(source) // most are refused, none may cost more for it
			}
		})
	}
}
