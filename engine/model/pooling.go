package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Pooling is how a model's files want the states of a text to become one vector.
type Pooling struct {
	Mode string // PoolLast, PoolMean; "" where the files do not say
	Raw  bool   // the vector keeps its length; else it is scaled to 1
}

// Modes that are computed.
const (
	PoolLast = "last" // the state of the last token, which has seen all others
	PoolMean = "mean" // the mean of all tokens' states
)

// String is "mean", or "mean, not normalised"; "" where the files do not say.
func (p Pooling) String() string {
	if p.Raw && p.Mode != "" {
		return p.Mode + ", not normalised"
	}
	return p.Mode
}

// ggufPoolings are the values of pooling_type. "none" says that the file is not of a
// model for embeddings.
var ggufPoolings = []string{"none", PoolMean, "cls", PoolLast, "rank"}

// pooling reads <arch>.pooling_type.
func (c *ggufConfig) pooling() (p Pooling) {
	n := c.u32("pooling_type", 0)
	name := "unknown"
	if int(n) < len(ggufPoolings) {
		name = ggufPoolings[n]
	}
	switch name {
	case "none":
	case PoolMean, PoolLast:
		p.Mode = name
	default:
		c.fail("pooling_type", n, fmt.Sprintf("%q is not supported; it must be absent, 0 (none), 1 (mean) or 3 (last)", name))
	}
	return p
}

// Files of the sentence-transformers library beside those of the model.
const (
	modulesName  = "modules.json"
	sentenceName = "sentence_bert_config.json"
	poolingDir   = "1_Pooling" // where modules.json names no other
)

// readPooling reads what sentence-transformers keeps of a model for embeddings: the
// modules that a text goes through, and the options of the one that pools.
func readPooling(dir string, hidden uint32) (Pooling, error) {
	where, say, err := readModules(dir)
	if err != nil {
		return Pooling{}, err
	}
	if err := checkSentence(dir); err != nil {
		return Pooling{}, err
	}
	file := path.Join(where, configName)
	values, err := readObject(dir, file, maxConfig)
	if errors.Is(err, fs.ErrNotExist) && !say.listed {
		return Pooling{}, nil
	}
	if err != nil {
		return Pooling{}, inFile(modulesName, err)
	}
	mode, err := (&poolingConfig{file, values, hidden}).mode()
	return Pooling{Mode: mode, Raw: say.unscaled}, err
}

// modulesSay is what modules.json says of vectors.
type modulesSay struct {
	listed   bool // there is such a file
	unscaled bool // it has no Normalize
}

// readModules gives the directory of the module that pools. A module that is not
// computed is refused: the vectors would be others.
func readModules(dir string) (pooling string, say modulesSay, err error) {
	text, err := readText(dir, modulesName, maxConfig)
	if err != nil {
		return poolingDir, say, optional(err)
	}
	var modules []map[string]any
	if err := json.Unmarshal(text, &modules); err != nil {
		return "", say, inFile(modulesName, err)
	}
	var kinds, paths []string
	for _, m := range modules {
		kind, _ := m["type"].(string)
		where, _ := m["path"].(string)
		kinds, paths = append(kinds, kind[strings.LastIndex(kind, ".")+1:]), append(paths, where)
	}
	if err := checkModules(kinds); err != nil {
		return "", say, err
	}
	if paths[0] != "" {
		return "", say, &ConfigError{modulesName, "path of Transformer", paths[0], "must be empty: the model's files lie beside " + modulesName}
	}
	if where := paths[1]; !filepath.IsLocal(where) || strings.Contains(where, `\`) {
		return "", say, &ConfigError{modulesName, "path of Pooling", where, "must be a directory beside " + modulesName}
	}
	return paths[1], modulesSay{listed: true, unscaled: len(kinds) == 2}, nil
}

// checkModules wants those that we compute, in the order in which we do.
func checkModules(kinds []string) error {
	computed := []string{"Transformer", "Pooling", "Normalize"}
	want := strings.Join(computed, ", ")
	for _, kind := range kinds {
		if !slices.Contains(computed, kind) {
			return &UnsupportedError{File: modulesName, What: "module", Name: kind, Have: want}
		}
	}
	if !slices.Equal(kinds, computed) && !slices.Equal(kinds, computed[:2]) {
		return &ConfigError{modulesName, "type of the modules", strings.Join(kinds, ", "), "must be " + want + ", or without the last"}
	}
	return nil
}

// checkSentence refuses texts in lower case, which the tokenizer does not say itself.
func checkSentence(dir string) error {
	c, err := readConfig(dir, sentenceName)
	if err != nil {
		return optional(err)
	}
	if lower, _ := c.values["do_lower_case"].(bool); lower {
		return &ConfigError{sentenceName, "do_lower_case", true, "not supported; it must be absent or false"}
	}
	return nil
}

// poolingConfig reads the options of the module that pools.
type poolingConfig struct {
	file   string
	values map[string]json.RawMessage
	hidden uint32
}

// poolingFlags are the switches of pooling modes, by the modes' names.
var poolingFlags = map[string]string{
	"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": PoolMean, "pooling_mode_max_tokens": "max",
	"pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens": "weightedmean",
	"pooling_mode_lasttoken": "lasttoken",
}

// mode gives the one mode that is on. Without a word it is the mean, the library's
// default, also beside another that is switched on.
func (c *poolingConfig) mode() (string, error) {
	modes := map[string]bool{PoolMean: true}
	for key := range c.values {
		if err := c.take(key, modes); err != nil {
			return "", err
		}
	}
	if named := c.values["pooling_mode"]; named != nil {
		var mode string
		if err := json.Unmarshal(named, &mode); err != nil {
			return "", c.wrong("pooling_mode", "must be a string")
		}
		modes = map[string]bool{strings.ToLower(mode): true}
	}
	return c.only(modes)
}

// take reads one option.
func (c *poolingConfig) take(key string, modes map[string]bool) error {
	on, width := false, uint32(0)
	switch mode := poolingFlags[key]; {
	case mode != "":
		if json.Unmarshal(c.values[key], &on) != nil {
			return c.wrong(key, "must be true or false")
		}
		modes[mode] = on
	case key == "word_embedding_dimension" || key == "embedding_dimension":
		if json.Unmarshal(c.values[key], &width) != nil || width != c.hidden {
			return c.wrong(key, fmt.Sprintf("must be the model's hidden_size, %d", c.hidden))
		}
	case key == "pooling_mode", key == "include_prompt": // of prompts, which are the app's to write
	default:
		return &UnsupportedError{File: c.file, What: "option", Name: key}
	}
	return nil
}

// only refuses modes that are not computed, by name, and several at once.
func (c *poolingConfig) only(modes map[string]bool) (string, error) {
	var on []string
	for mode, is := range modes {
		if is {
			on = append(on, mode)
		}
	}
	slices.Sort(on)
	switch strings.Join(on, ", ") {
	case "lasttoken":
		return PoolLast, nil
	case PoolMean:
		return PoolMean, nil
	case "":
		return "", &ConfigError{c.file, "pooling_mode", "none", "one mode must be on: mean or lasttoken"}
	}
	return "", &ConfigError{c.file, "pooling_mode", strings.Join(on, " and "), "not supported; it must be mean or lasttoken, and one alone"}
}

func (c *poolingConfig) wrong(key, reason string) error {
	return &ConfigError{c.file, key, string(c.values[key]), reason}
}
