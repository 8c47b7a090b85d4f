package golden

import (
	"iter"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
)

// Loadable is what Fill needs of engine.Backend.
type Loadable interface {
	Plan(*abi.Plan) error
	PutTensor(*abi.Tensor) error
	Finalise() (abi.Bytes, error)
	Close() error
}

// Filled gives a backend, made by fresh, the model at path, and holds what it takes to
// the footprint that kind has. Both are closed when the test ends.
func Filled[B Loadable](t testing.TB, path string, limits abi.Limits, kind string, fresh func(abi.Limits) (B, error)) (B, *model.Model) {
	t.Helper()
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	b, err := fresh(limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	got := Fill(t, b, &m.Plan, m.Tensors())
	if want, err := model.Footprint(&m.Meta, limits, kind); err != nil || got != want {
		t.Errorf("%s: Finalise reports %+v, the footprint is %+v, %v", path, got, want, err)
	}
	return b, m
}

// Fill gives a backend a plan and its tensors, and says what it took.
func Fill(t testing.TB, b Loadable, plan *abi.Plan, tensors iter.Seq2[*abi.Tensor, error]) abi.Bytes {
	t.Helper()
	if err := b.Plan(plan); err != nil {
		t.Fatal(err)
	}
	for tensor, err := range tensors {
		if err != nil {
			t.Fatal(err)
		}
		if err := b.PutTensor(tensor); err != nil {
			t.Fatal(err)
		}
	}
	bytes, err := b.Finalise()
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// Each gives tensors in memory as a model gives its own.
func Each(tensors []*abi.Tensor) iter.Seq2[*abi.Tensor, error] {
	return func(yield func(*abi.Tensor, error) bool) {
		for _, t := range tensors {
			if !yield(t, nil) {
				return
			}
		}
	}
}

// Altered gives tensors after a change to each.
func Altered(tensors iter.Seq2[*abi.Tensor, error], change func(*abi.Tensor)) iter.Seq2[*abi.Tensor, error] {
	return func(yield func(*abi.Tensor, error) bool) {
		for t, err := range tensors {
			if err == nil {
				change(t)
			}
			if !yield(t, err) {
				return
			}
		}
	}
}
