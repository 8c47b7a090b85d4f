package local_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/cpu"
	"github.com/nanofleet/nanofleet/engine/local"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/ref"
	"github.com/nanofleet/nanofleet/engine/sample"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

var backends = map[string]func(abi.Limits) (engine.Backend, error){
	"cpu": func(l abi.Limits) (engine.Backend, error) { return cpu.New(l) },
	"ref": func(l abi.Limits) (engine.Backend, error) { return ref.New(l) },
}

const shape = `{"architectures":["LlamaForCausalLM"],"hidden_size":32,"intermediate_size":48,"num_hidden_layers":1,"num_attention_heads":2,
	"num_key_value_heads":1,"vocab_size":128,"max_position_embeddings":256}`

// tokens asks for n tokens and counts those that come.
func tokens(t *testing.T, i *local.Instance, n int) (got int) {
	t.Helper()
	s, err := i.Submit(&engine.Request{Prompt: []int32{1, 2, 3}, MaxTokens: n, IgnoreEOS: true, Sampling: sample.Defaults()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		event, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if told, ok := event.(engine.Tokens); ok {
			got += len(told.IDs)
		}
	}
}

func TestOpen(t *testing.T) {
	for name, c := range map[string]local.Config{
		"a file":       {Path: tiny.GGUF(), Backend: "ref"},
		"a shape":      {Shape: []byte(shape), Backend: "cpu", KVDType: "f32"},
		"any backend":  {Path: tiny.Dir()}, // cuda is not one of these
		"a memory cap": {Path: tiny.GGUF(), Backend: "cpu", Memory: 1 << 30},
	} {
		c.Backends, c.Options = backends, model.Options{Context: 128, MaxRunning: 2}
		i, err := local.Open(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := tokens(t, i, 5); got != 5 {
			t.Errorf("%s: %d tokens", name, got)
		}
		if i.Numerics == "" || i.Device.Name == "" || i.Footprint.Total() == 0 || i.Loaded <= 0 || c.Backend == "" && i.Backend != "cpu" {
			t.Errorf("%s: %+v", name, i)
		}
		if err := i.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for say, c := range map[string]local.Config{
		`backend: "abacus"`:      {Path: tiny.GGUF(), Backend: "abacus"},
		"no such file":           {Path: "nothing.gguf"},
		`quant: "int4"`:          {Path: tiny.GGUF(), Backend: "cpu", Quant: "int4"},
		"context: 4096":          {Path: tiny.GGUF(), Backend: "cpu", Options: model.Options{Context: 4096}},
		"dtype = synth":          {Shape: []byte(shape), Backend: "ref"},
		"memory_max = 1":         {Path: tiny.GGUF(), Backend: "cpu", Memory: 1},
		`isa = "sse9"`:           {Path: tiny.GGUF(), Backend: "cpu", Options: model.Options{ISA: "sse9"}},
		"this build's: cpu, ref": {Path: tiny.GGUF(), Backend: "cuda"},
	} {
		c.Backends = backends
		if i, err := local.Open(c); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%+v: %v, %v, want %q", c, i, err, say)
		}
	}
}
