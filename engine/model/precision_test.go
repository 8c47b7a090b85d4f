package model_test

import (
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

func TestPrecision(t *testing.T) {
	for _, c := range []struct {
		backend, quant, kv string
		wantQuant          abi.Quant
		wantKV             abi.DType
		say                string // "" = it is taken
	}{
		{"cpu", "", "", 0, 0, ""},
		{"cpu", "none", "f16", 0, 0, ""}, // what it does anyway
		{"cpu", "none", "f32", 0, abi.F32, ""},
		{"ref", "", "f32", 0, 0, ""},
		{"cuda", "none", "bf16", 0, 0, ""},
		{"cuda", "", "fp8", 0, abi.E4M3, ""},
		{"cuda", "fp8", "", abi.QuantFP8, 0, ""},
		{"cuda", "int4", "", abi.QuantInt4, 0, ""},
		{"cpu", "int4", "", 0, 0, `quant: "int4", backend cpu has only none; take a file that is quantised already`},
		{"cpu", "int3", "", 0, 0, `quant: "int3", backend cpu has only none`},
		{"cpu", "", "bf16", 0, 0, `kv_dtype: "bf16", backend cpu has only f16, f32`},
		{"ref", "", "f16", 0, 0, `kv_dtype: "f16", backend ref has only f32`},
		{"cuda", "", "f16", 0, 0, `kv_dtype: "f16", backend cuda has only bf16, fp8`},
		{"abacus", "", "", 0, 0, `no backend "abacus"`},
	} {
		quant, kv, err := model.Precision(c.backend, c.quant, c.kv)
		if c.say == "" && (err != nil || quant != c.wantQuant || kv != c.wantKV) || c.say != "" && (err == nil || !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s, %q, %q: %v, %v, %v", c.backend, c.quant, c.kv, quant, kv, err)
		}
	}
}

// TestPrecisionIsSized: KV of twice the bytes takes twice the pool, and names say what
// limits mean.
func TestPrecisionIsSized(t *testing.T) {
	m, err := model.LoadMeta(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	half, limits, err := model.Size(m, "cpu", model.Options{}, 0)
	if err != nil || limits.KVDType != 0 {
		t.Fatal(limits, err)
	}
	whole, limits, err := model.Size(m, "cpu", model.Options{KVDType: abi.F32}, 0)
	if err != nil || limits.KVDType != abi.F32 {
		t.Fatal(limits, err)
	}
	ids := uint64(limits.Pages) * abi.PageLen * 4
	if whole.KVBytes-ids != 2*(half.KVBytes-ids) {
		t.Errorf("f32 takes %d bytes, f16 %d", whole.KVBytes, half.KVBytes)
	}
	if quant, kv := model.Names(limits); quant != "" || kv != "f32" {
		t.Errorf("names %q, %q", quant, kv)
	}
	if quant, kv := model.Names(abi.Limits{Quant: abi.QuantInt4, KVDType: abi.E4M3}); quant != "int4" || kv != "fp8" {
		t.Errorf("names %q, %q", quant, kv)
	}
}
