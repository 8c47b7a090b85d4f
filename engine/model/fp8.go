package model

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// Scale says which tensor of the file multiplies an E4M3 weight: 1 x 1, one for each
// row, or one for each block of 128 x 128.
type Scale struct {
	Source     string
	Rows, Cols uint32
	DType      abi.DType // as the backend gets them: F32 or BF16
}

// fp8Scheme is how a checkpoint keeps its E4M3 matrices, as quantization_config says.
type fp8Scheme struct {
	suffix   string // of a scale's name, in place of ".weight"
	strategy string // strategyBlock, strategyChannel or strategyTensor; "" where groups differ
	static   bool   // there are scales of activations too
	plain    []func(module string) bool
}

// Which weights share a scale.
const (
	strategyBlock   = "block"
	strategyChannel = "channel"
	strategyTensor  = "tensor"
)

// typeE4M3 is what safetensors calls it.
const typeE4M3 = "F8_E4M3"

// What a scale's name has in place of ".weight".
const (
	scaleSuffix        = ".weight_scale"
	scaleInverseSuffix = ".weight_scale_inv" // which multiplies all the same
)

// inputScale is a scale that a static scheme has for activations. Backends keep these in
// 16 bits or more: rounding them to 8 is what it would serve, and they are the better
// without, so it is left unread.
const inputScale = ".input_scale"

// ignored says whether a module is kept as it was.
func (f *fp8Scheme) ignored(module string) bool {
	return slices.ContainsFunc(f.plain, func(matches func(string) bool) bool { return matches(module) })
}

// scale finds what multiplies the E4M3 tensor of a part.
func (f *fp8Scheme) scale(p part, fileName string, file *weights.File) (*Scale, error) {
	module := strings.TrimSuffix(p.source, ".weight")
	refuse := func(reason string) error {
		return &ConfigError{fileName, "type of " + p.source, typeE4M3, reason}
	}
	switch {
	case f == nil:
		return nil, refuse("must have its scales told by " + quantKey + " in " + configName)
	case p.rows == 1 || p.name == "embed":
		return nil, refuse("must be a plain type: only matrices of layers and of a head of its own may be FP8")
	case f.ignored(module):
		return nil, refuse("must be a plain type: " + quantKey + " says that it is not quantised")
	}
	name := module + f.suffix
	info, ok := file.Info(name)
	if !ok {
		return nil, fmt.Errorf("%s: %q: %w", fileName, name, weights.ErrNoTensor)
	}
	rows, cols := info.Matrix()
	if len(info.Shape) == 1 && uint64(p.rows) == cols {
		rows, cols = cols, 1 // one a row, written as a vector
	}
	if wantRows, wantCols := f.shape(p, rows); rows != uint64(wantRows) || cols != uint64(wantCols) {
		return nil, &ConfigError{fileName, "shape of " + name, info.Shape, fmt.Sprintf("must be [%d %d]", wantRows, wantCols)}
	}
	s := &Scale{Source: name, Rows: uint32(rows), Cols: uint32(cols), DType: info.DType}
	switch info.DType {
	case abi.F16:
		s.DType = abi.F32
	case abi.F32, abi.BF16:
	default:
		return nil, &UnsupportedError{File: fileName, What: "element type", Name: info.Type, Tensor: name, Have: "F32, F16, BF16"}
	}
	return s, nil
}

// shape that the scales of a part must have; a file of several strategies is taken at
// its word.
func (f *fp8Scheme) shape(p part, rows uint64) (uint32, uint32) {
	strategy := f.strategy
	if strategy == "" {
		strategy = strategyChannel
		if rows == 1 {
			strategy = strategyTensor
		}
	}
	blocks := func(n uint32) uint32 { return (n + weights.ScaleBlock - 1) / weights.ScaleBlock }
	switch strategy {
	case strategyBlock:
		return blocks(p.rows), blocks(p.cols)
	case strategyChannel:
		return p.rows, 1
	}
	return 1, 1
}

// spare says of a tensor that belongs to the scheme whether it may be left unread.
func (f *fp8Scheme) spare(name string) bool {
	return f != nil && f.static && strings.HasSuffix(name, inputScale)
}

// data of a scale as backends take it: F16 widened, and all of them checked, for one
// that is not finite would poison every answer.
func (s *Scale) data(t weights.Tensor) ([]byte, error) {
	values, err := t.Float32()
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		if !(v >= 0 && v <= maxScale) {
			return nil, &ConfigError{s.Source, fmt.Sprintf("scale %d", i), v, fmt.Sprintf("must be from 0 to %g", maxScale)}
		}
	}
	if t.DType == s.DType {
		return t.Data, nil
	}
	return binary.Append(nil, binary.LittleEndian, values)
}

// maxScale keeps 448 times a scale, the largest E4M3, a bfloat16 that products can bear.
const maxScale = 1e30

// modules reads a list of names or patterns; each costs what a model of thousands of
// modules may bear.
func (c *jsonConfig) modules(key string, most int, matcher func(string) (func(string) bool, error)) (out []func(string) bool) {
	if c.values[key] == nil {
		return nil
	}
	list, ok := c.values[key].([]any)
	if !ok || len(list) > most {
		c.fail(key, c.values[key], fmt.Sprintf("must be a list of at most %d names", most))
		return nil
	}
	for _, v := range list {
		name, _ := v.(string)
		if name == "" {
			c.fail(key, v, "must be a module's name")
			return nil
		}
		match, err := matcher(name)
		if err != nil {
			c.fail(key, name, "must be a name or a pattern that can be read: "+err.Error())
			return nil
		}
		out = append(out, match)
	}
	return out
}

// moduleName matches a module, what lies inside it, and names that end so, as
// transformers reads modules_to_not_convert.
func moduleName(name string) (func(string) bool, error) {
	return func(module string) bool {
		return module == name || strings.HasPrefix(module, name+".") || strings.HasSuffix(module, "."+name)
	}, nil
}

// modulePattern matches one module or, behind "re:", what begins as the expression says,
// as compressed-tensors reads ignore.
func modulePattern(name string) (func(string) bool, error) {
	expression, isPattern := strings.CutPrefix(name, "re:")
	if !isPattern {
		return func(module string) bool { return module == name }, nil
	}
	const longest = 256
	if len(name) > longest || strings.ContainsRune(expression, '{') {
		return nil, fmt.Errorf("at most %d bytes and no counted repetition", longest)
	}
	re, err := regexp.Compile(`^(?:` + expression + `)`)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}
