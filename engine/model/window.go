package model

import (
	"fmt"
	"slices"
)

// Values of layer_types.
const (
	layerFull    = "full_attention"
	layerSliding = "sliding_attention"
)

// window is how many positions a layer attends to, its own included; 0 is all.
func (c *Config) window(layer uint32) uint32 {
	if c.Windows == nil {
		return 0
	}
	return c.Windows[layer]
}

// sameWindow gives every layer one window; nil where it never closes.
func sameWindow(window uint32, c *Config) []uint32 {
	if window == 0 || window >= c.Context || c.Layers > maxLayers {
		return nil
	}
	return slices.Repeat([]uint32{window}, int(c.Layers))
}

// slidingWindow reads sliding_window: 4096 where the key is absent, 0 where it is null.
func (c *jsonConfig) slidingWindow() uint32 {
	if !c.has("sliding_window") {
		return 4096
	}
	if c.values["sliding_window"] == nil {
		return 0
	}
	window := c.u32("sliding_window", 0)
	if window == 0 {
		c.fail("sliding_window", c.values["sliding_window"], "must be null or at least 1")
	}
	return window
}

// layerWindows reads which layers have a window: none unless use_sliding_window, else
// those that layer_types names or, without it, those from max_window_layers on.
func (c *jsonConfig) layerWindows(config *Config) []uint32 {
	window := uint32(0)
	if c.boolean("use_sliding_window", false) {
		window = c.slidingWindow()
	}
	windows := sameWindow(window, config)
	list, listed := c.values["layer_types"].([]any)
	if !listed {
		c.demand("layer_types")
		from := c.u32("max_window_layers", 28)
		return fullLayers(windows, func(layer int) bool { return uint32(layer) < from })
	}
	c.checkLayerTypes(list, config.Layers, window)
	if c.err != nil {
		return nil
	}
	return fullLayers(windows, func(layer int) bool { return list[layer] == layerFull })
}

// fullLayers takes the window from some layers.
func fullLayers(windows []uint32, full func(layer int) bool) []uint32 {
	for layer := range windows {
		if full(layer) {
			windows[layer] = 0
		}
	}
	if !slices.ContainsFunc(windows, func(w uint32) bool { return w > 0 }) {
		return nil
	}
	return windows
}

// checkLayerTypes demands a known type for each layer.
func (c *jsonConfig) checkLayerTypes(list []any, layers, window uint32) {
	if uint64(len(list)) != uint64(layers) {
		c.fail("layer_types", fmt.Sprintf("%d entries", len(list)), fmt.Sprintf("must have one for each of num_hidden_layers (%d)", layers))
	}
	for i, kind := range list {
		key := fmt.Sprintf("layer_types[%d]", i)
		switch {
		case kind != layerFull && kind != layerSliding:
			c.fail(key, kind, fmt.Sprintf("not supported; it must be one of [%s %s]", layerFull, layerSliding))
		case kind == layerSliding && window == 0:
			c.fail(key, kind, "needs use_sliding_window and a sliding_window")
		}
	}
}
