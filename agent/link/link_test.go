package link

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/wire"
)

func TestBackoff(t *testing.T) {
	b := backoff{min: 50 * time.Millisecond, max: 2 * time.Second}
	for n, want := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000} {
		if got := b.next(0); got != want*time.Millisecond {
			t.Errorf("pause %d: %v, want %v", n, got, want*time.Millisecond)
		}
	}
	b.reset()
	if got := b.next(1); got != 25*time.Millisecond {
		t.Errorf("the shortest first pause: %v, want 25ms", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := backoff{min: 50 * time.Millisecond, max: 2 * time.Second}
		for range 12 {
			if d := b.next(rapid.Float64Range(0, 0.999).Draw(t, "r")); d < 25*time.Millisecond || d > 2*time.Second {
				t.Fatalf("pause %v", d)
			}
		}
	})
}

func TestReach(t *testing.T) {
	for _, c := range []struct{ told, dialled, want string }{
		{"10.0.0.5:7800", "coord.example:7800", "10.0.0.5:7800"},
		{"[::]:7800", "coord.example:7900", "coord.example:7800"},
		{"0.0.0.0:7800", "10.1.1.1:7900", "10.1.1.1:7800"},
		{":7800", "[fd00::1]:7900", "[fd00::1]:7800"},
		{"fleet.example:7800", "10.1.1.1:1", "fleet.example:7800"},
		{"[::]:0", "10.1.1.1:1", ""},
		{"nonsense", "10.1.1.1:1", ""},
	} {
		if got, _ := reach(c.told, c.dialled); got != c.want {
			t.Errorf("%s told by %s: %q, want %q", c.told, c.dialled, got, c.want)
		}
	}
}

func TestNewestWordCounts(t *testing.T) {
	h := held{from: "c1", desired: &wire.Desired{Revision: 10}}
	for _, c := range []struct {
		from     string
		revision uint64
		want     bool
	}{
		{"c1", 11, true}, {"c1", 10, true}, {"c1", 3, true},
		{"c2", 11, true}, {"c2", 10, true}, {"c2", 9, false},
	} {
		if got := h.yields(c.from, &wire.Desired{Revision: c.revision}); got != c.want {
			t.Errorf("%s at %d replaces c1 at 10: %v, want %v", c.from, c.revision, got, c.want)
		}
	}
	if !(held{}).yields("c2", &wire.Desired{}) {
		t.Error("the first word is not taken")
	}
}

func TestHeldSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desired.json")
	if h, err := loadHeld(path); err != nil || h.desired != nil {
		t.Errorf("without a file: %v, %v", h, err)
	}
	want := &wire.Desired{Revision: 7, Instances: []*wire.InstanceSpec{{
		Instance: "inst-a", Options: &wire.EngineOptions{KvBytes: 1 << 60},
		Manifest: &wire.Manifest{Files: []*wire.File{{Path: "m.gguf", Chunks: [][]byte{{0, 255}}}}},
	}}}
	if err := (held{"c1", want}).save(path); err != nil {
		t.Fatal(err)
	}
	got, err := loadHeld(path)
	if err != nil || got.from != "c1" || !proto.Equal(got.desired, want) {
		t.Errorf("read %v, %v", got, err)
	}
	for _, text := range []string{"", "{", `{"desired":{"revision":"x"}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadHeld(path); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
