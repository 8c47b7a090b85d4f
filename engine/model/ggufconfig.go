package model

import (
	"fmt"
	"strings"
)

// ggufConfig reads the keys of one architecture from GGUF metadata and keeps the
// first failure. Every key under the architecture's prefix must be asked for.
type ggufConfig struct {
	file   string
	prefix string // "llama."
	meta   map[string]any
	has    func(tensor string) bool
	vector func(tensor string, n uint32) ([]float32, error) // reads one of n elements
	asked  map[string]bool
	err    error
}

func (c *ggufConfig) fail(key string, value any, reason string) {
	if c.err == nil {
		c.err = &ConfigError{c.file, c.prefix + key, value, reason}
	}
}

func (c *ggufConfig) value(key string) any {
	c.asked[c.prefix+key] = true
	return c.meta[c.prefix+key]
}

// u32 reads a whole number of any integer type; absent gives fallback.
func (c *ggufConfig) u32(key string, fallback uint32) uint32 {
	value := c.value(key)
	if value == nil {
		return fallback
	}
	n, ok := whole(value)
	if !ok || n < 0 || n > 1<<32-1 {
		c.fail(key, value, "must be a whole number from 0 to 4294967295")
		return 0
	}
	return uint32(n)
}

// number reads a float; absent gives fallback.
func (c *ggufConfig) number(key string, fallback float64) float64 {
	switch value := c.value(key).(type) {
	case nil:
		return fallback
	case float32:
		return float64(value)
	case float64:
		return value
	default:
		c.fail(key, value, "must be a float")
		return 0
	}
}

// demand refuses a present key whose value is none of those honoured.
func (c *ggufConfig) demand(key string, honoured ...any) {
	value := c.value(key)
	if value == nil {
		return
	}
	if n, ok := whole(value); ok {
		value = n
	}
	for _, h := range honoured {
		if value == h {
			return
		}
	}
	c.fail(key, value, fmt.Sprintf("not supported; it must be absent or one of %v", honoured))
}

// strangers refuses keys of the architecture that nobody asked for.
func (c *ggufConfig) strangers() error {
	for key := range c.meta {
		if strings.HasPrefix(key, c.prefix) && !c.asked[key] {
			return &UnsupportedError{File: c.file, What: "option", Name: key}
		}
	}
	return c.err
}

// whole converts any integer type of GGUF.
func whole(value any) (int64, bool) {
	switch n := value.(type) {
	case uint8:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case int16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int32:
		return int64(n), true
	case uint64:
		return int64(n), n < 1<<63
	case int64:
		return n, true
	}
	return 0, false
}
