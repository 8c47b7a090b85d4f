package model

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// describeGGUF reads a model from GGUF metadata.
func describeGGUF(path string, file *weights.File) (*Meta, error) {
	name, meta := filepath.Base(path), file.Meta()
	arch, _ := meta["general.architecture"].(string)
	read := fromGGUF[arch]
	if read == nil {
		return nil, &UnsupportedError{File: name, What: "architecture", Name: arch, Have: supported(fromGGUF)}
	}
	has := func(tensor string) bool { _, ok := file.Info(tensor); return ok }
	vector := func(tensor string, n uint32) ([]float32, error) { return readVector(name, file, tensor, n) }
	d, err := read(&ggufConfig{file: name, prefix: arch + ".", meta: meta, has: has, vector: vector, asked: map[string]bool{}})
	if err != nil {
		return nil, err
	}
	m, err := d.bind(name, file)
	if err == nil {
		err = m.checkQuantisation(name, meta)
	}
	if err != nil {
		return nil, err
	}
	m.Arch, m.Name = arch, strings.TrimSuffix(name, ".gguf")
	if s, ok := meta["general.name"].(string); ok {
		m.Name = s
	}
	return m, m.readGGUFText(name, meta)
}

// checkQuantisation refuses blocks in the layout that ggml had before its version 2.
func (m *Meta) checkQuantisation(file string, meta map[string]any) error {
	const key, version = "general.quantization_version", 2
	value := meta[key]
	if n, ok := whole(value); value == nil || ok && n == version {
		return nil
	}
	for _, w := range m.Weights {
		if block, _ := w.DType.Block(); block > 1 {
			return &ConfigError{file, key, value, fmt.Sprintf("not supported; it must be absent or %d", version)}
		}
	}
	return nil
}

// readVector decodes one small tensor of n elements.
func readVector(fileName string, file *weights.File, tensor string, n uint32) ([]float32, error) {
	info, _ := file.Info(tensor)
	if info.Elements() != uint64(n) {
		return nil, &ConfigError{fileName, "shape of " + tensor, info.Shape, fmt.Sprintf("must be [%d]", n)}
	}
	t, err := file.Tensor(tensor)
	if err != nil {
		return nil, err
	}
	return t.Float32()
}

// readGGUFText reads tokenizer, template and special tokens.
func (m *Meta) readGGUFText(file string, meta map[string]any) (err error) {
	if err := checkTextTypes(file, meta); err != nil {
		return err
	}
	if m.Tokenizer, err = tokenizer.FromGGUF(meta); err != nil {
		return inFile(file, err)
	}
	sources, err := ggufTemplates(file, meta)
	if err != nil {
		return err
	}
	if err := m.addTemplates(sources, func(string) string { return file + ": tokenizer.chat_template" }); err != nil {
		return err
	}
	ids := &ggufConfig{file: file, prefix: "tokenizer.ggml.", meta: meta, asked: map[string]bool{}}
	m.BOS = ids.token("bos_token_id")
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if id := ids.token(key); id != tokenizer.None && !slices.Contains(m.EOS, id) {
			m.EOS = append(m.EOS, id)
		}
	}
	if ids.err != nil {
		return ids.err
	}
	m.BOSText = m.specialText(m.BOS)
	if len(m.EOS) > 0 {
		m.EOSText = m.specialText(m.EOS[0])
	}
	return m.checkText(file)
}

// textTypes are keys of tokenizer and template with a value of the type they must have:
// a value of another type would be as good as none to whoever reads them.
var textTypes = map[string]any{
	"tokenizer.ggml.model": "", "tokenizer.ggml.pre": "", "tokenizer.chat_template": "", "tokenizer.chat_templates": []string{},
	"tokenizer.ggml.tokens": []string{}, "tokenizer.ggml.merges": []string{}, "tokenizer.ggml.scores": []float32{}, "tokenizer.ggml.token_type": []int32{},
	"tokenizer.ggml.add_bos_token": false, "tokenizer.ggml.add_eos_token": false, "tokenizer.ggml.add_space_prefix": false,
	"tokenizer.ggml.remove_extra_whitespaces": false,
}

func checkTextTypes(file string, meta map[string]any) error {
	for key, like := range textTypes {
		if value := meta[key]; value != nil && reflect.TypeOf(value) != reflect.TypeOf(like) {
			return &ConfigError{file, key, value, fmt.Sprintf("must be of type %T", like)}
		}
	}
	return nil
}

// token reads a token id; absent is tokenizer.None.
func (c *ggufConfig) token(key string) int32 {
	if c.value(key) == nil {
		return tokenizer.None
	}
	id := c.u32(key, 0)
	if id >= maxVocab {
		c.fail(key, id, "must be a token id")
		return tokenizer.None
	}
	return int32(id)
}
