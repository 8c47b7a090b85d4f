package model

func init() { fromJSON["MistralForCausalLM"] = mistralFromJSON }

// mistralFromJSON reads Mistral: no biases, and one window for all layers. GGUF files
// of it name themselves llama.
func mistralFromJSON(c *jsonConfig) (*design, error) {
	config := c.decoder(absentKeys{context: 4096 * 32, kvHeads: 8})
	config.Windows = sameWindow(c.slidingWindow(), &config)
	c.demand("attention_bias", false)
	c.demand("mlp_bias", false)
	c.demand("layer_types")
	return c.design(config)
}
