package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

const configName = "config.json"

// maxConfig bounds the small JSON files beside the weights, in bytes.
const maxConfig = 64 << 20

// jsonConfig reads config.json key by key and keeps the first failure.
type jsonConfig struct {
	values map[string]any
	err    error
}

// readJSON decodes a file of a model directory; os.ErrNotExist when it is absent.
func readJSON(dir, name string, into any) error {
	path := filepath.Join(dir, name)
	stat, err := os.Stat(path)
	if err != nil {
		return err
	}
	if stat.Size() > maxConfig {
		return &ConfigError{name, "size", stat.Size(), fmt.Sprintf("must be at most %d bytes", maxConfig)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (c *jsonConfig) fail(key string, value any, reason string) {
	if c.err == nil {
		c.err = &ConfigError{configName, key, value, reason}
	}
}

// has says whether the key is there, if only as null.
func (c *jsonConfig) has(key string) bool { _, ok := c.values[key]; return ok }

// u32 reads a whole number; absent gives fallback.
func (c *jsonConfig) u32(key string, fallback uint32) uint32 {
	n := c.number(key, float64(fallback))
	if n < 0 || n > math.MaxUint32 || n != math.Trunc(n) {
		c.fail(key, n, "must be a whole number from 0 to 4294967295")
		return 0
	}
	return uint32(n)
}

// number reads a number; absent or null gives fallback.
func (c *jsonConfig) number(key string, fallback float64) float64 {
	value := c.values[key]
	if value == nil {
		return fallback
	}
	n, ok := value.(float64)
	if !ok {
		c.fail(key, value, "must be a number")
	}
	return n
}

// boolean reads true or false; absent or null gives fallback.
func (c *jsonConfig) boolean(key string, fallback bool) bool {
	value := c.values[key]
	if value == nil {
		return fallback
	}
	b, ok := value.(bool)
	if !ok {
		c.fail(key, value, "must be true or false")
	}
	return b
}

// demand refuses a present key whose value is none of those honoured; null is as
// good as absent.
func (c *jsonConfig) demand(key string, honoured ...any) {
	value := c.values[key]
	if value == nil {
		return
	}
	for _, h := range honoured {
		if value == h {
			return
		}
	}
	c.fail(key, value, fmt.Sprintf("not supported; it must be absent or one of %v", honoured))
}
