package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() {
	fromJSON["Qwen2ForCausalLM"] = qwen2FromJSON
	fromGGUF["qwen2"] = qwen2FromGGUF
}

// qwen2FromJSON reads Qwen 2 and 2.5: q, k and v always have a bias.
func qwen2FromJSON(c *jsonConfig) (*design, error) {
	config := c.decoder(absentKeys{context: 32768, kvHeads: 32})
	config.QKVBias = true
	config.Windows = c.layerWindows(&config)
	c.demand("mlp_bias", false)
	return c.design(config)
}

func qwen2FromGGUF(c *ggufConfig) (*design, error) {
	config := c.decoder(abi.RopeHalf)
	config.QKVBias = true
	return c.design(config)
}
