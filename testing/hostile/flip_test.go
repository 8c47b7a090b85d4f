package hostile

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestFlippedBits turns single bits of headers over: what a bit says may be as good as
// what it said, so some load; none may panic, wait, or read outside the file.
func TestFlippedBits(t *testing.T) {
	if testing.Short() {
		t.Skip("sixteen hundred loads, none of them concurrent")
	}
	g := readTiny(t)
	inGGUF, marks := g.bytes()
	inSafetensors := tinyFile(t, weightsName)
	for _, c := range []struct {
		name   string
		text   []byte
		header int
	}{
		{"m.gguf", inGGUF, marks[len(marks)-1].at},
		{weightsName, inSafetensors, 8 + int(le.Uint64(inSafetensors))},
		{configName, tinyFile(t, configName), len(tinyFile(t, configName))},
		{"tokenizer.json", tinyFile(t, "tokenizer.json"), len(tinyFile(t, "tokenizer.json"))},
	} {
		dir := t.TempDir()
		if _, err := tinyWith(map[string][]byte{c.name: c.text})(dir); err != nil {
			t.Fatal(err)
		}
		open := dir
		if c.name == "m.gguf" {
			open = filepath.Join(dir, c.name)
		}
		refused, random := 0, rand.New(rand.NewPCG(1, 2))
		const flips = 400
		for range flips {
			at, bit := random.IntN(c.header), random.IntN(8)
			flipped := append([]byte(nil), c.text...)
			flipped[at] ^= 1 << bit
			if err := os.WriteFile(filepath.Join(dir, c.name), flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			if load(open) != nil {
				refused++
			}
		}
		t.Logf("%s: %d of %d flips refused", c.name, refused, flips)
		if refused == 0 {
			t.Errorf("%s: no flip was refused", c.name)
		}
	}
}
