package model

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

// narrow has no frequency between yarn's betas: transformers and llama.cpp make
// different tables of it, and we none.
const narrow = "yarn-narrow"

// TestRopeTables compares frequencies and yarn's factor with what transformers
// computes for settings of real models.
func TestRopeTables(t *testing.T) {
	// Not by way of testing/golden: it imports this package.
	text, err := os.ReadFile("../../testing/golden/testdata/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var ropes map[string]struct {
		Config          map[string]any
		InvFreq         []float64 `json:"inv_freq"`
		AttentionFactor float64   `json:"attention_factor"`
	}
	if err := json.Unmarshal(text, &ropes); err != nil {
		t.Fatal(err)
	}
	for name, want := range ropes {
		text, _ := json.Marshal(want.Config)
		d, err := llamaFromJSON(jsonWith(t, string(text)))
		if name == narrow {
			if err == nil || !strings.Contains(err.Error(), "no frequency lies between") {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		table := d.plan.RopeTables[0]
		if len(table.InvFreq) != len(want.InvFreq) {
			t.Errorf("%s: %d frequencies, want %d", name, len(table.InvFreq), len(want.InvFreq))
			continue
		}
		for i, frequency := range want.InvFreq { // transformers computes them in float32
			if off := math.Abs(float64(table.InvFreq[i])/frequency - 1); !(off < 2e-6) {
				t.Errorf("%s: frequency %d is %v, want %v", name, i, table.InvFreq[i], frequency)
			}
		}
		factor := float64(table.AttentionFactor)
		if factor == 0 {
			factor = 1
		}
		if math.Abs(factor-want.AttentionFactor) > 1e-6 {
			t.Errorf("%s: attention factor %v, want %v", name, factor, want.AttentionFactor)
		}
	}
	if len(ropes) < 11 {
		t.Errorf("only %d settings", len(ropes))
	}
}

// TestRopeOldNames has a configuration as releases of transformers before 5 write it.
func TestRopeOldNames(t *testing.T) {
	const options = `"factor":4,"original_max_position_embeddings":1024`
	want, err := llamaFromJSON(jsonWith(t, `{"rope_theta":null,"rope_parameters":{"rope_theta":5000,"rope_type":"yarn",`+options+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{
		`{"rope_theta":5000,"rope_scaling":{"rope_type":"yarn",` + options + `}}`,
		`{"rope_theta":5000,"rope_scaling":{"type":"yarn","finetuned":true,"attention_factor":null,` + options + `}}`,
		`{"rope_theta":5000,"rope_scaling":{"type":"yarn","rope_type":"yarn","beta_fast":0,"beta_slow":0,` + options + `}}`,
		`{"rope_theta":5000,"max_position_embeddings":1024,"rope_scaling":{"type":"yarn","factor":4}}`,
	} {
		got, err := llamaFromJSON(jsonWith(t, old))
		if err != nil {
			t.Errorf("%s: %v", old, err)
		} else if planText(got) != planText(want) {
			t.Errorf("%s: %+v\nwant %+v", old, got.config, want.config)
		}
	}
}

// TestYarnStretchesTheContext: configurations switch yarn on beside the context
// before it.
func TestYarnStretchesTheContext(t *testing.T) {
	for extra, want := range map[string]uint32{
		`{"rope_scaling":{"type":"yarn","factor":4,"original_max_position_embeddings":8192}}`: 32768,
		`{"rope_scaling":{"type":"yarn","factor":4,"original_max_position_embeddings":1024}}`: 8192,
		`{"rope_scaling":{"type":"linear","factor":4}}`:                                       8192,
	} {
		d, err := llamaFromJSON(jsonWith(t, extra))
		if err != nil || d.config.Context != want {
			t.Errorf("%s: %v, context %v, want %d", extra, err, d, want)
		}
	}
}

func TestRopeRefusesJSON(t *testing.T) {
	llama3 := func(rest string) string {
		return `{"rope_type":"llama3","original_max_position_embeddings":1024,` + rest + `}`
	}
	yarn := func(rest string) string {
		return `{"rope_type":"yarn","factor":2,"original_max_position_embeddings":1024,` + rest + `}`
	}
	for scaling, key := range map[string]string{
		`{"rope_type":"dynamic","factor":2}`:                                       "rope_type",
		`{"rope_type":"longrope","short_factor":[1],"long_factor":[1]}`:            "rope_type",
		`{"rope_type":["yarn"]}`:                                                   "rope_type",
		`{"type":"su"}`:                                                            "type",
		`{"type":"linear","rope_type":"default","factor":1}`:                       "rope_type",
		`{"factor":2}`:                                                             "factor",
		`{"rope_type":"linear"}`:                                                   "factor",
		`{"rope_type":"linear","factor":0.5}`:                                      "factor",
		`{"rope_type":"linear","factor":1e7}`:                                      "factor",
		`{"rope_type":"linear","factor":"2"}`:                                      "factor",
		`{"rope_type":"linear","factor":2,"beta_fast":3}`:                          "beta_fast",
		`{"rope_type":"linear","factor":2,"partial_rotary_factor":0.5}`:            "partial_rotary_factor",
		`{"mrope_section":[1,2,3]}`:                                                "mrope_section",
		`{"full_attention":{"rope_type":"default"}}`:                               "full_attention",
		`{"rope_type":"yarn","factor":2,"llama_4_scaling_beta":0.1}`:               "llama_4_scaling_beta",
		llama3(`"factor":8`):                                                       "low_freq_factor",
		llama3(`"factor":8,"low_freq_factor":4,"high_freq_factor":4`):              "low_freq_factor",
		llama3(`"factor":8,"low_freq_factor":0,"high_freq_factor":4`):              "low_freq_factor",
		llama3(`"low_freq_factor":1,"high_freq_factor":4`):                         "factor",
		yarn(`"beta_fast":1,"beta_slow":2`):                                        "beta_slow",
		yarn(`"attention_factor":-1`):                                              "attention_factor",
		yarn(`"truncate":1`):                                                       "truncate",
		`{"rope_type":"yarn","factor":2,"original_max_position_embeddings":0}`:     "original_max_position_embeddings",
		`{"rope_type":"yarn","factor":2,"original_max_position_embeddings":1.5}`:   "original_max_position_embeddings",
		`{"rope_type":"yarn","factor":2,"original_max_position_embeddings":1e9}`:   "original_max_position_embeddings",
		`{"rope_type":"yarn","factor":1e300,"original_max_position_embeddings":1}`: "factor",
	} {
		for _, name := range []string{"rope_scaling", "rope_parameters"} {
			_, err := llamaFromJSON(jsonWith(t, `{"`+name+`":`+scaling+`}`))
			var config *ConfigError
			if !errors.As(err, &config) || !strings.HasSuffix(config.Key, "."+key) {
				t.Errorf("%s %s: got %v, want a ConfigError of %s", name, scaling, err, key)
			}
		}
	}
	both := `{"rope_scaling":{"rope_type":"linear","factor":2},"rope_parameters":{"rope_type":"linear","factor":3}}`
	if _, err := llamaFromJSON(jsonWith(t, both)); err == nil || !strings.Contains(err.Error(), "contradicts rope_parameters") {
		t.Errorf("two that differ: got %v", err)
	}
	same := `{"rope_scaling":{"rope_type":"linear","factor":2},"rope_parameters":{"rope_type":"linear","factor":2}}`
	if _, err := llamaFromJSON(jsonWith(t, same)); err != nil {
		t.Errorf("two that agree: got %v", err)
	}
}

// TestGGUFScaling holds metadata to the configuration that says the same.
func TestGGUFScaling(t *testing.T) {
	key := func(name string) string { return "llama.rope.scaling." + name }
	for _, c := range []struct {
		meta map[string]any
		json string
	}{
		{map[string]any{key("type"): "none", key("factor"): float32(1)}, `{}`},
		{map[string]any{key("type"): "linear", key("factor"): float32(4), key("finetuned"): true}, `{"rope_scaling":{"type":"linear","factor":4}}`},
		{map[string]any{key("factor"): float32(4)}, `{"rope_scaling":{"type":"linear","factor":4}}`},
		{map[string]any{key("type"): "yarn", key("factor"): float32(4), key("original_context_length"): uint32(4096)},
			`{"rope_scaling":{"type":"yarn","factor":4,"original_max_position_embeddings":4096}}`},
		{map[string]any{key("type"): "yarn", key("factor"): float32(2), key("yarn_beta_fast"): float32(16), key("yarn_beta_slow"): float32(2),
			key("attn_factor"): float32(1), key("yarn_log_multiplier"): float32(0)},
			`{"rope_scaling":{"type":"yarn","factor":2,"beta_fast":16,"beta_slow":2}}`},
	} {
		got, err := llamaFromGGUF(smolGGUF(c.meta))
		if err != nil {
			t.Errorf("%v: %v", c.meta, err)
			continue
		}
		want, err := llamaFromJSON(jsonWith(t, c.json))
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got.plan.RopeTables)
		b, _ := json.Marshal(want.plan.RopeTables)
		if string(a) != string(b) || got.config.Context != want.config.Context {
			t.Errorf("%v: context %d, %s\nwant %d, %s", c.meta, got.config.Context, a, want.config.Context, b)
		}
	}
}

func TestGGUFScalingRefuses(t *testing.T) {
	for key, value := range map[string]any{
		"type": "dynamic", "factor": float32(0.5), "attn_factor": float32(1.2), "yarn_ext_factor": float32(0),
		"yarn_attn_factor": float32(2), "yarn_log_multiplier": float32(0.1), "yarn_beta_slow": float32(64),
		"original_context_length": uint32(1), "alpha": float32(2),
	} {
		meta := map[string]any{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4),
			"llama.rope.scaling.original_context_length": uint32(4096)}
		meta["llama.rope.scaling."+key] = value
		if _, err := llamaFromGGUF(smolGGUF(meta)); err == nil {
			t.Errorf("%s = %v was taken", key, value)
		}
	}
	none := map[string]any{"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": float32(2)}
	if _, err := llamaFromGGUF(smolGGUF(none)); err == nil || !strings.Contains(err.Error(), "rope.scaling.factor") {
		t.Errorf("a factor of no scaling: got %v", err)
	}
}

// TestDivisors has Llama 3's scaling as GGUF carries it.
func TestDivisors(t *testing.T) {
	config := func(divisors []float32, err error) *ggufConfig {
		c := smolGGUF(nil, ropeDivisors)
		c.vector = func(string, uint32) ([]float32, error) { return divisors, err }
		return c
	}
	divisors := make([]float32, 32)
	for i := range divisors {
		divisors[i] = float32(1 + i)
	}
	d, err := llamaFromGGUF(config(divisors, nil))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := llamaFromGGUF(smolGGUF(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, frequency := range d.plan.RopeTables[0].InvFreq {
		if want := plain.plan.RopeTables[0].InvFreq[i] / divisors[i]; math.Abs(float64(frequency/want-1)) > 1e-6 {
			t.Errorf("frequency %d is %v, want %v", i, frequency, want)
		}
	}
	if !d.spare(ropeDivisors) || plain.spare(ropeDivisors) {
		t.Error("the tensor may be left over where it was read, and only there")
	}
	for _, bad := range []float32{0, -1, float32(math.NaN()), float32(math.Inf(1))} {
		divisors[3] = bad
		if _, err := llamaFromGGUF(config(divisors, nil)); err == nil || !strings.Contains(err.Error(), ropeDivisors) {
			t.Errorf("divisor %v: got %v", bad, err)
		}
	}
	broken := errors.New("broken")
	if _, err := llamaFromGGUF(config(nil, broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	scaled := config(divisors, nil)
	scaled.meta["llama.rope.scaling.factor"] = float32(2)
	if _, err := llamaFromGGUF(scaled); err == nil || !strings.Contains(err.Error(), ropeDivisors) {
		t.Errorf("beside a scaling: got %v", err)
	}
}
