package jinja

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// bulk are texts of small values, each repeated until a text is full.
var bulk = map[string]string{
	"digits": "1,", "token ids": "70000,", "floats": "1.5,", "big integers": "99999999999999999999,", "nulls": "null,", "empty strings": `"",`,
	"strings": `"a",`, "empty arrays": "[],", "arrays": "[1],", "empty objects": "{},", "objects": `{"a":1},`, "objects of objects": `{"a":{"b":1}},`,
	"escapes": `"\n",`, "messages": `{"role":"user","content":"x"},`, "nested": "[[[[]]]],", "ids in arrays": "[70000,70001,70002,70003,70004,70005,70006,70007],",
}

// parseCost is what ParseJSON allocates for a text.
func parseCost(text string) (bytes uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = ParseJSON(text)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// TestManyValuesCostLittle: whatever a body of 10 MiB holds, reading it allocates at
// most five times that; as much as is allowed of each kind does, and the next one is
// refused.
func TestManyValuesCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("it counts bytes, which takes long with the race detector")
	}
	const body = 10 << 20
	fill := func(one string, n int) string { return "[" + strings.Repeat(one, n) + "0]" }
	var names strings.Builder
	for i := range MaxJSONNodes - 3 {
		fmt.Fprintf(&names, `"%d":0,`, i)
	}
	texts := map[string]string{"allowed keys": "{" + names.String()[:names.Len()-1] + "}"}
	for name, one := range bulk {
		texts[name] = fill(one, body/len(one)-1)
		nodes := strings.Count(one, `"`)/2 + strings.Count(one, "[") + strings.Count(one, "{")
		most := min(MaxJSONValues/strings.Count(one, ","), body/len(one)) - 2
		if nodes > 0 {
			most = min(most, MaxJSONNodes/nodes-2)
		}
		if name == "big integers" {
			most = maxJSONLarge
		}
		texts["allowed "+name] = fill(one, most)
	}
	texts["members without keys"] = strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}"+strings.Repeat(",", 10_000), 100)
	texts["allowed keys and ids"] = "{" + names.String()[:names.Len()-1] + `,"x":` + fill("70000,", MaxJSONValues-MaxJSONNodes-2) + "}"
	for name, text := range texts {
		bytes, err := parseCost(text)
		t.Logf("%s: %.1f times %d bytes, %v", name, float64(bytes)/float64(len(text)), len(text), err)
		if bytes > 5*body {
			t.Errorf("%s: %d bytes allocated for %d", name, bytes, len(text))
		}
		if refused := err != nil; strings.HasPrefix(name, "allowed ") && refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyNodes reads as many strings as may be, and one more.
func TestManyNodes(t *testing.T) {
	text := "[" + strings.Repeat(`"",`, MaxJSONNodes-2) + `""]`
	if _, err := ParseJSON(text); err != nil {
		t.Error(err)
	}
	if _, err := ParseJSON(`["",` + text[1:]); err == nil || !strings.Contains(err.Error(), "65536 strings, keys, arrays and objects") {
		t.Errorf("got %v", err)
	}
}
