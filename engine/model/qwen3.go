package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() {
	fromJSON["Qwen3ForCausalLM"] = qwen3FromJSON
	fromGGUF["qwen3"] = qwen3FromGGUF
}

// qwen3FromJSON reads the dense Qwen 3: every head of q and k is normed.
func qwen3FromJSON(c *jsonConfig) (*design, error) {
	config := c.decoder(absentKeys{context: 32768, kvHeads: 32, headDim: 128})
	config.QKNorm = true
	config.QKVBias = c.boolean("attention_bias", false)
	config.OutBias = config.QKVBias
	config.Windows = c.layerWindows(&config)
	c.demand("mlp_bias", false)
	return c.design(config)
}

func qwen3FromGGUF(c *ggufConfig) (*design, error) {
	config := c.decoder(abi.RopeHalf)
	config.QKNorm = true
	return c.design(config)
}
