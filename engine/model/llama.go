package model

import "github.com/nanofleet/nanofleet/engine/abi"

func init() {
	fromJSON["LlamaForCausalLM"] = llamaFromJSON
	fromGGUF["llama"] = llamaFromGGUF
}

// llamaFromJSON reads Llama 2 and 3.
func llamaFromJSON(c *jsonConfig) (*design, error) {
	config := c.decoder(absentKeys{context: 2048})
	config.QKVBias = c.boolean("attention_bias", false)
	config.OutBias = config.QKVBias
	config.MLPBias = c.boolean("mlp_bias", false)
	c.demand("sliding_window")
	c.demand("layer_types")
	return c.design(config)
}

// llamaFromGGUF reads Llama 2 and 3 and Mistral, whose files go by the same name.
func llamaFromGGUF(c *ggufConfig) (*design, error) {
	config := c.decoder(abi.RopePair)
	config.Windows = sameWindow(c.u32("attention.sliding_window", 0), &config)
	c.readDivisors(&config)
	return c.design(config)
}
