package weights

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// allocated is what parse allocates in all, garbage included, in bytes.
func allocated(t *testing.T, text []byte, parse func(string, io.Reader, uint64) (header, error)) (uint64, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := parse("m", bytes.NewReader(text), uint64(len(text)))
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// TestAllocationIsBounded feeds headers that hold as many small things as they can, and
// some that promise more than they hold: no parser may allocate more than four times the
// header, beside its buffer and the table of metadata keys.
func TestAllocationIsBounded(t *testing.T) {
	const fixed = 1 << 19
	repeat := func(n int, each func(i int) []byte) []byte {
		var b bytes.Buffer
		for i := range n {
			b.Write(each(i))
		}
		return b.Bytes()
	}
	array := func(kind uint32, n int, data []byte) []byte {
		return append(append(start(0, 1), ggufText("k", u32(ggufArray), kind, u64(n))...), data...)
	}
	const many = 100_000
	for what, text := range map[string][]byte{
		"empty strings":     array(ggufString, many, make([]byte, 8*many)),
		"short strings":     array(ggufString, many, repeat(many, func(i int) []byte { return ggufText(fmt.Sprint(i % 100)) })),
		"long strings":      array(ggufString, 20, repeat(20, func(int) []byte { return ggufText(strings.Repeat("x", 50_000)) })),
		"one string":        append(start(0, 1), ggufText("k", u32(ggufString), strings.Repeat("x", 1<<20))...),
		"numbers":           array(ggufInt32, many, repeat(many, func(i int) []byte { return ggufText(u32(i * 1000)) })),
		"bytes":             array(ggufUint8, many, make([]byte, many)),
		"wide numbers":      array(ggufFloat64, many, bytes.Repeat([]byte{1}, 8*many)),
		"empty arrays":      array(ggufArray, many, make([]byte, 12*many)),
		"arrays, long key":  append(append(start(0, 1), ggufText(strings.Repeat("k", 60_000), u32(ggufArray), u32(ggufArray), u64(many))...), make([]byte, 12*many)...),
		"pairs":             append(start(0, maxPairs), repeat(maxPairs, func(i int) []byte { return ggufText(fmt.Sprint(i), u32(ggufUint8), uint8(1)) })...),
		"tensors":           append(start(many, 0), repeat(many, func(i int) []byte { return ggufText(fmt.Sprint(i), u32(1), u64(1), u32(24), u64(0)) })...),
		"four dimensions":   append(start(many, 0), repeat(many, func(i int) []byte { return ggufText("", u32(4), u64(1), u64(1), u64(1), u64(1), u32(24), u64(0)) })...),
		"tensors, cut":      append(start(maxTensors, 0), make([]byte, maxTensors*ggufMinInfo)...),
		"string, cut":       append(start(0, 1), ggufText("k", u32(ggufString), u64(1<<40))...),
		"strings, promised": append(start(0, 1), ggufText("k", u32(ggufArray), u32(ggufString), u64(1<<50))...),
	} {
		got, err := allocated(t, text, parseGGUF)
		if bound := 4*uint64(len(text)) + fixed; got > bound {
			t.Errorf("GGUF, %s: %d bytes for a header of %d (bound %d): %v", what, got, len(text), bound, err)
		}
	}
	entries := func(n int, each func(i int) string) []byte {
		var b strings.Builder
		for i := range n {
			b.WriteString(each(i) + ",")
		}
		return safetensorsText("{"+strings.TrimSuffix(b.String(), ",")+"}", 0)
	}
	for what, text := range map[string][]byte{
		"tensors": entries(many, func(i int) string {
			return fmt.Sprintf(`"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
		}),
		"eight dimensions": entries(many, func(i int) string {
			return fmt.Sprintf(`"%d":{"dtype":"F32","shape":[0,1,1,1,1,1,1,1],"data_offsets":[0,0]}`, i)
		}),
		"escaped": entries(many, func(i int) string {
			return fmt.Sprintf(`"\u0061%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
		}),
		"metadata":  safetensorsText(`{"__metadata__":{`+strings.Repeat(`"a":"b",`, many)+`"c":"d"}}`, 0),
		"nested":    safetensorsText(strings.Repeat(`{"a":`, many), 0),
		"lists":     safetensorsText(`{"a":{"shape":`+strings.Repeat(`[`, many), 0),
		"numbers":   safetensorsText(`{"a":{"shape":[`+strings.Repeat(`1,`, many), 0),
		"long name": safetensorsText(`{"`+strings.Repeat(`x`, 1<<20)+`":1}`, 0),
	} {
		got, err := allocated(t, text, parseSafetensors)
		if bound := 4*uint64(len(text)) + fixed; got > bound {
			t.Errorf("safetensors, %s: %d bytes for a header of %d (bound %d): %v", what, got, len(text), bound, err)
		}
	}
}
