package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const quantKey = "quantization_config"

// quantHave is what a refusal says is read.
const quantHave = "fp8, compressed-tensors with FP8 weights (float-quantized), and GGUF files for fewer bits"

// Bounds of the lists of modules that stay as they are: a matrix each, or patterns.
const (
	maxModules  = 1 << 14
	maxPatterns = 1 << 10
)

// quantisation reads quantization_config, where there is one.
func (c *jsonConfig) quantisation() *fp8Scheme {
	nested, ok := c.values[quantKey].(map[string]any)
	if !ok {
		c.demand(quantKey)
		return nil
	}
	sub := &jsonConfig{values: nested}
	var f *fp8Scheme
	switch method, _ := nested["quant_method"].(string); method {
	case "fp8":
		f = sub.fp8()
	case "compressed-tensors":
		f = sub.compressed()
	default:
		sub.fail("quant_method", nested["quant_method"], "not supported; supported are "+quantHave)
	}
	c.adopt(quantKey, sub)
	return f
}

// adopt takes over the first failure of an object inside.
func (c *jsonConfig) adopt(key string, sub *jsonConfig) {
	if e, bad := sub.err.(*ConfigError); bad {
		c.fail(key+"."+e.Key, e.Value, e.Reason)
	}
}

// only refuses what is not null and not among keys, in the order of their names.
func (c *jsonConfig) only(keys ...string) {
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if !slices.Contains(keys, key) {
			c.demand(key)
		}
	}
}

// fp8 reads the scheme of DeepSeek's and Qwen's releases, in blocks, and of AutoFP8, a
// scale for each tensor.
func (c *jsonConfig) fp8() *fp8Scheme {
	c.only("quant_method", "fmt", "activation_scheme", "weight_block_size", "modules_to_not_convert", "ignored_layers")
	c.demand("fmt", "e4m3")
	c.demand("activation_scheme", "dynamic", "static")
	f := &fp8Scheme{suffix: scaleSuffix, strategy: strategyTensor, static: c.values["activation_scheme"] == "static"}
	if c.values["weight_block_size"] != nil {
		c.block("weight_block_size")
		f.suffix, f.strategy = scaleInverseSuffix, strategyBlock
	}
	f.plain = append(c.modules("modules_to_not_convert", maxModules, moduleName), c.modules("ignored_layers", maxModules, moduleName)...)
	return f
}

// block demands the one shape of blocks that backends know.
func (c *jsonConfig) block(key string) {
	list, _ := c.values[key].([]any)
	if len(list) != 2 || list[0] != 128.0 || list[1] != 128.0 {
		c.fail(key, c.values[key], "must be [128 128]")
	}
}

// compressed reads the scheme of llm-compressor.
func (c *jsonConfig) compressed() *fp8Scheme {
	c.only("quant_method", "format", "config_groups", "ignore", "quantization_status", "version", "global_compression_ratio",
		"sparsity_config", "transform_config")
	c.demand("format", "float-quantized")
	c.demand("quantization_status", "compressed", "frozen")
	c.demand("transform_config", empty)
	c.dense("sparsity_config")
	f := &fp8Scheme{suffix: scaleSuffix, plain: c.modules("ignore", maxPatterns, modulePattern)}
	groups, _ := c.values["config_groups"].(map[string]any)
	if len(groups) == 0 {
		c.fail("config_groups", c.values["config_groups"], "must say how the weights are quantised")
	}
	strategies := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		values, _ := groups[name].(map[string]any)
		group := &jsonConfig{values: values}
		strategies[group.group(f)] = true
		c.adopt("config_groups."+name, group)
	}
	if len(strategies) == 1 {
		f.strategy = slices.Collect(maps.Keys(strategies))[0]
	} else if strategies[strategyBlock] {
		c.fail("config_groups", slices.Sorted(maps.Keys(strategies)), "must not mix blocks with other strategies")
	}
	return f
}

// dense refuses weights that are left out.
func (c *jsonConfig) dense(key string) {
	sparsity, ok := c.values[key].(map[string]any)
	if !ok || len(sparsity) == 0 {
		c.demand(key, empty)
		return
	}
	sub := &jsonConfig{values: sparsity}
	sub.demand("format", "dense")
	c.adopt(key, sub)
}

// group reads how some modules are quantised and gives their strategy. Which modules is
// seen by their tensors' types.
func (c *jsonConfig) group(f *fp8Scheme) (strategy string) {
	c.only("targets", "weights", "input_activations", "format")
	c.demand("format", "float-quantized")
	values, ok := c.values["weights"].(map[string]any)
	if !ok {
		c.fail("weights", c.values["weights"], "must say how they are quantised")
		return ""
	}
	w := &jsonConfig{values: values}
	strategy = w.floats(strategyChannel, strategyTensor, strategyBlock)
	w.demand("dynamic", false)
	if strategy == strategyBlock {
		w.block("block_structure")
	}
	c.adopt("weights", w)
	if values, ok := c.values["input_activations"].(map[string]any); ok {
		a := &jsonConfig{values: values}
		a.floats("token", strategyTensor, "group")
		f.static = f.static || values["dynamic"] != true
		c.adopt("input_activations", a)
	} else {
		c.demand("input_activations")
	}
	return strategy
}

// floats demands 8-bit floats and one of some strategies.
func (c *jsonConfig) floats(strategies ...string) string {
	c.only("num_bits", "type", "symmetric", "strategy", "dynamic", "group_size", "block_structure", "observer", "observer_kwargs",
		"scale_dtype", "zp_dtype")
	strategy, _ := c.values["strategy"].(string)
	if n := c.values["num_bits"]; n != 8.0 {
		c.fail("num_bits", n, "must be 8")
	}
	if kind := c.values["type"]; kind != "float" {
		c.fail("type", kind, `must be "float"`)
	}
	c.demand("symmetric", true)
	if !slices.Contains(strategies, strategy) {
		c.fail("strategy", c.values["strategy"], fmt.Sprintf("must be one of %s", strings.Join(strategies, ", ")))
	}
	return strategy
}
