package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/nanofleet/nanofleet/engine/weights"
)

const configName = "config.json"

// Bounds of the files beside the weights, in bytes. Real ones have at most some 10 KB,
// 4 MB (with thousands of added tokens), 100 KB and 35 MB (256k tokens and their merges).
const (
	maxConfig          = 1 << 20
	maxTokenizerConfig = 16 << 20
	maxTemplate        = 1 << 20
	maxTokenizer       = 128 << 20
)

// jsonConfig reads config.json key by key and keeps the first failure.
type jsonConfig struct {
	values map[string]any
	scheme *fp8Scheme // once decoder has read it; nil for none
	err    error
}

// readObject reads the JSON object in a file of a model directory; os.ErrNotExist when
// the file is absent. Keys are taken as they are written, and once.
func readObject(dir, name string, limit int64) (values map[string]json.RawMessage, err error) {
	text, err := readText(dir, name, limit)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, inFile(name, err)
	}
	if values == nil {
		return nil, inFile(name, errors.New("null where an object is due"))
	}
	return values, nil
}

// readText reads a JSON file that every reader must read alike.
func readText(dir, name string, limit int64) ([]byte, error) {
	text, err := weights.ReadSmall(filepath.Join(dir, name), limit)
	if err != nil {
		return nil, err
	}
	return text, weights.CheckJSON(name, text)
}

// readConfig reads a file of options.
func readConfig(dir, name string) (*jsonConfig, error) {
	raw, err := readObject(dir, name, maxConfig)
	if err != nil {
		return &jsonConfig{}, err
	}
	c := &jsonConfig{values: make(map[string]any, len(raw))}
	for key, value := range raw {
		var v any
		if err := json.Unmarshal(value, &v); err != nil {
			return nil, inFile(name+": "+key, err)
		}
		c.values[key] = v
	}
	return c, nil
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
		if value == h || h == empty && isEmpty(value) {
			return
		}
	}
	if len(honoured) == 0 {
		c.fail(key, value, "not supported; it must be absent or null")
		return
	}
	c.fail(key, value, fmt.Sprintf("not supported; it must be absent or one of %v", honoured))
}

// empty stands for an object or list without elements among what demand honours.
const empty = "an empty object or list"

func isEmpty(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
