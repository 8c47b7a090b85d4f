package model_test

import (
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/tiny"
	"pgregory.net/rapid"
)

// pageBytes of the tiny model on ref: positions, layers x (K,V) x heads x dim x
// float32, token id.
const pageBytes = 64 * (4*2*2*32*4 + 4)

func tinyMeta(t *testing.T) *model.Meta {
	t.Helper()
	m, err := model.LoadMeta(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSizeDefaults(t *testing.T) {
	o, limits, err := model.Size(tinyMeta(t), "ref", model.Options{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := model.Options{Context: tiny.Context, MaxRunning: 4, StepTokens: 256, KVBytes: 4 * 16 * pageBytes}
	if o != want {
		t.Errorf("options %+v, want %+v", o, want)
	}
	if l := (abi.Limits{MaxSlots: 4, MaxRows: 4, MaxTokens: 256, MaxPositions: tiny.Context, Pages: 64}); limits.MaxSlots != l.MaxSlots ||
		limits.MaxRows != l.MaxRows || limits.MaxTokens != l.MaxTokens || limits.MaxPositions != l.MaxPositions || limits.Pages != l.Pages {
		t.Errorf("limits %+v, want %+v", limits, l)
	}
}

func TestSizeRefuses(t *testing.T) {
	for _, c := range []struct {
		backend string
		options model.Options
		want    string
	}{
		{"abacus", model.Options{}, `no backend "abacus"`},
		{"ref", model.Options{Context: tiny.Context + 1}, "context: 1025, must be at most 1024"},
		{"ref", model.Options{KVBytes: 16*pageBytes - 1}, "to hold one sequence of 1024 tokens"},
	} {
		if _, _, err := model.Size(tinyMeta(t), c.backend, c.options, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c, err, c.want)
		}
	}
}

// TestSizeIsStable: what Size resolved resolves to itself, holds one sequence at
// least, steps wide enough for all that run, and whole pages.
func TestSizeIsStable(t *testing.T) {
	m := tinyMeta(t)
	rapid.Check(t, func(t *rapid.T) {
		in := model.Options{
			Context:    rapid.Uint32Range(0, tiny.Context).Draw(t, "context"),
			MaxRunning: rapid.Uint32Range(0, 300).Draw(t, "running"),
			StepTokens: rapid.Uint32Range(0, 600).Draw(t, "step"),
		}
		memory := rapid.Uint64Range(0, 1<<30).Draw(t, "memory")
		o, limits, err := model.Size(m, "ref", in, memory)
		if err != nil {
			t.Fatal(err)
		}
		again, same, err := model.Size(m, "ref", o, memory)
		if err != nil || again != o || same.Pages != limits.Pages {
			t.Fatalf("resolved again: %+v, %v\nfirst: %+v", again, err, o)
		}
		if limits.Pages*abi.PageLen < o.Context || o.StepTokens < o.MaxRunning || o.KVBytes != uint64(limits.Pages)*pageBytes {
			t.Fatalf("%+v with %d pages", o, limits.Pages)
		}
	})
}
