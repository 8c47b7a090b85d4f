package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// Files of a Hugging Face model directory beside config.json.
const (
	tokenizerName       = "tokenizer.json"
	tokenizerConfigName = "tokenizer_config.json"
	generationName      = "generation_config.json"
	templateName        = "chat_template.jinja"
	moreTemplatesName   = "additional_chat_templates" // a directory of NAME.jinja
)

// describeDirectory reads a model from a Hugging Face directory.
func describeDirectory(dir string, file *weights.File) (*Meta, error) {
	c, err := readConfig(dir, configName)
	if err != nil {
		return nil, err
	}
	arch, err := c.architecture()
	if err != nil {
		return nil, err
	}
	d, err := fromJSON[arch](c)
	if err != nil {
		return nil, err
	}
	if _, bare := file.Info(withoutHead(jsonNames.embed) + ".weight"); bare {
		d.headless()
	}
	m, err := d.bind(filepath.Base(dir), file)
	if err != nil {
		return nil, err
	}
	m.Arch, m.Name = arch, filepath.Base(filepath.Clean(dir))
	if m.Config.Pooling, err = readPooling(dir, m.Config.Hidden); err != nil {
		return nil, err
	}
	return m, m.readDirectoryText(dir, c)
}

// headless takes the names of a file that was saved without what stands on the layers,
// as models for embeddings often are: they lack the prefix of the whole model.
func (d *design) headless() {
	for i := range d.parts {
		d.parts[i].source = withoutHead(d.parts[i].source)
	}
}

func withoutHead(name string) string { return strings.TrimPrefix(name, "model.") }

// architecture is the one entry of config.json's architectures.
func (c *jsonConfig) architecture() (string, error) {
	list, _ := c.values["architectures"].([]any)
	if len(list) != 1 {
		return "", &ConfigError{configName, "architectures", c.values["architectures"], "must be a list of one name"}
	}
	name, _ := list[0].(string)
	if fromJSON[name] == nil {
		return "", &UnsupportedError{File: configName, What: "architecture", Name: name, Have: supported(fromJSON)}
	}
	return name, nil
}

// readDirectoryText reads tokenizer, template and special tokens.
func (m *Meta) readDirectoryText(dir string, c *jsonConfig) error {
	var err error
	if m.Tokenizer, err = readTokenizer(dir); err != nil {
		return err
	}
	t, err := readTokenizerConfig(dir)
	if err != nil {
		return err
	}
	generation, err := readConfig(dir, generationName)
	if err := optional(err); err != nil {
		return err
	}
	if err := m.readTemplates(dir, t.templates); err != nil {
		return err
	}
	if err := m.readSpecial(c, generation); err != nil {
		return err
	}
	m.BOSText, m.EOSText = t.BOS, t.EOS
	return m.checkText(configName)
}

// tokenizerConfig is what we read of tokenizer_config.json.
type tokenizerConfig struct {
	templates templateSources
	BOS, EOS  string
}

// readTokenizerConfig reads the file; without it nothing is known.
func readTokenizerConfig(dir string) (*tokenizerConfig, error) {
	values, err := readObject(dir, tokenizerConfigName, maxTokenizerConfig)
	if err := optional(err); err != nil {
		return nil, err
	}
	t := &tokenizerConfig{}
	for key, into := range map[string]*string{"bos_token": &t.BOS, "eos_token": &t.EOS} {
		value, present := values[key]
		if !present {
			continue
		}
		if *into, err = tokenOf(value); err != nil {
			return nil, inFile(tokenizerConfigName+": "+key, err)
		}
	}
	t.templates, err = templatesOf(values["chat_template"])
	return t, inFile(tokenizerConfigName+": chat_template", err)
}

// tokenOf reads a token's text, or an object with its content.
func tokenOf(b json.RawMessage) (s string, err error) {
	if len(b) == 0 || b[0] != '{' {
		err = json.Unmarshal(b, &s)
		return s, err
	}
	var object map[string]any
	if err := json.Unmarshal(b, &object); err != nil {
		return "", err
	}
	s, ok := object["content"].(string)
	if !ok {
		return "", fmt.Errorf("content = %v: must be a string", object["content"])
	}
	return s, nil
}

// readSpecial takes BOS and EOS from generation_config.json where it names them,
// else from config.json.
func (m *Meta) readSpecial(c, generation *jsonConfig) error {
	bos, err := firstTokens("bos_token_id", c, generation)
	if err != nil {
		return err
	}
	m.BOS = m.Tokenizer.BOS()
	if len(bos) > 0 {
		m.BOS = bos[0]
	}
	m.EOS, err = firstTokens("eos_token_id", c, generation)
	return err
}

func firstTokens(key string, c, generation *jsonConfig) ([]int32, error) {
	chosen, err := generation.tokens(generationName, key)
	fallback, err2 := c.tokens(configName, key)
	if chosen == nil {
		chosen = fallback
	}
	return chosen, errors.Join(err, err2)
}

// tokens reads an id or a list of ids; nil when absent.
func (c *jsonConfig) tokens(file, key string) ([]int32, error) {
	value := c.values[key]
	list, ok := value.([]any)
	if value == nil {
		return nil, nil
	} else if !ok {
		list = []any{value}
	}
	var out []int32
	for _, v := range list {
		n, ok := v.(float64)
		if !ok || n < 0 || n >= maxVocab || n != float64(int32(n)) {
			return nil, &ConfigError{file, key, value, "must be a token id or a list of them"}
		}
		out = append(out, int32(n))
	}
	return out, nil
}

// specialText is the text of a special token, "" for none.
func (m *Meta) specialText(id int32) string { return string(m.Tokenizer.TokenBytes(id)) }

// checkText demands that every id the tokenizer and the configuration can name has
// a row in the embedding.
func (m *Meta) checkText(file string) error {
	vocab := m.Config.Vocab
	if n := m.Tokenizer.VocabSize(); uint64(n) > uint64(vocab) {
		return &ConfigError{file, "vocab_size", vocab, fmt.Sprintf("must be at least the tokenizer's %d", n)}
	}
	for _, id := range m.EOS {
		if uint32(id) >= vocab {
			return &ConfigError{file, "eos_token_id", id, fmt.Sprintf("must be below vocab_size (%d)", vocab)}
		}
	}
	if m.BOS != tokenizer.None && uint32(m.BOS) >= vocab {
		return &ConfigError{file, "bos_token_id", m.BOS, fmt.Sprintf("must be below vocab_size (%d)", vocab)}
	}
	return nil
}

// optional makes the absence of a file no error.
func optional(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// inFile names the file an error comes from.
func inFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
