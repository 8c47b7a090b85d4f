package inspect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/internal/words"
)

// Model describes the model at path: a GGUF file, the first part of a split one, or a
// directory. One that cannot be served is described as far as its headers go, with the
// reason in Problem; an error is for files that are no model at all.
func Model(path string, tensors bool) (api.Inspection, error) {
	files, err := api.LocalModel(path)
	if err != nil {
		return api.Inspection{}, err
	}
	path = loadPath(path, files)
	file, err := weights.Open(path)
	if err != nil {
		return api.Inspection{}, err
	}
	defer file.Close()
	in := api.Inspection{Name: filepath.Base(path), Format: format(files), Metadata: metadata(file.Meta())}
	for _, f := range files {
		in.Size += f.Size
		in.Files = append(in.Files, api.FileSize{Path: f.Rel, Size: f.Size})
	}
	list(&in, file, tensors)
	if in.Format == "gguf" {
		fromGGUF(&in, file.Meta())
	} else {
		fromConfig(&in, path)
	}
	meta, err := model.LoadMeta(path)
	if err != nil {
		in.Problem = strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), "")
		return in, nil
	}
	fromMeta(&in, meta)
	return in, nil
}

// loadPath is what to load of a directory: its first GGUF file, where it has no other
// form.
func loadPath(path string, files []api.LocalFile) string {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return path
	}
	if _, err := os.Stat(filepath.Join(path, "config.json")); err == nil {
		return path
	}
	for _, f := range files {
		if strings.HasSuffix(f.Rel, ".gguf") {
			return f.Abs
		}
	}
	return path
}

func format(files []api.LocalFile) string {
	for _, f := range files {
		if strings.HasSuffix(f.Rel, ".gguf") {
			return "gguf"
		}
	}
	return "safetensors"
}

// list counts tensors by type, and names them on demand.
func list(in *api.Inspection, file *weights.File, tensors bool) {
	shares := map[string]*api.TypeShare{}
	for _, info := range file.Tensors() {
		s := shares[info.Type]
		if s == nil {
			s = &api.TypeShare{Type: info.Type}
			shares[info.Type] = s
		}
		s.Tensors++
		s.Parameters += info.Elements()
		s.Bytes += info.Size
		in.Parameters += info.Elements()
		if tensors {
			in.Tensors = append(in.Tensors, api.TensorInfo{Name: info.Name, Type: info.Type, Shape: info.Shape, Bytes: info.Size})
		}
	}
	in.Quantisation = []api.TypeShare{}
	for _, s := range shares {
		in.Quantisation = append(in.Quantisation, *s)
	}
	slices.SortFunc(in.Quantisation, func(a, b api.TypeShare) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
}

// metadata renders every key; long lists by their length.
func metadata(meta map[string]any) map[string]string {
	out := map[string]string{}
	for key, value := range meta {
		out[key] = render(value)
	}
	return out
}

// render writes a value of metadata as people read it. What is long is shortened: a
// template is given elsewhere, and a vocabulary is of no use here.
func render(value any) string {
	const most = 200
	var s string
	switch v := value.(type) {
	case string:
		s = v
	case []string:
		return words.Count(len(v), "string")
	case []any:
		return words.Count(len(v), "value")
	case map[string]any:
		b, _ := json.Marshal(v) // of what was JSON before
		s = string(b)
	default:
		s = fmt.Sprint(v)
		if strings.HasPrefix(s, "[") && len(s) > most {
			return fmt.Sprintf("%d values", strings.Count(s, " ")+1)
		}
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + fmt.Sprintf("... (%d bytes)", len(s))
	}
	return s
}

// fromGGUF reads what metadata says by itself.
func fromGGUF(in *api.Inspection, meta map[string]any) {
	text := func(key string) string { s, _ := meta[key].(string); return s }
	in.Architecture, in.Licence, in.Template = text("general.architecture"), text("general.license"), text("tokenizer.chat_template")
	if name := text("general.name"); name != "" {
		in.Name = name
	}
	tokens, _ := meta["tokenizer.ggml.tokens"].([]string)
	in.Tokenizer = &api.TokenizerInfo{Kind: text("tokenizer.ggml.model"), Splitter: text("tokenizer.ggml.pre"), Vocab: len(tokens), EOS: []string{}}
}

// fromConfig reads what the small files of a directory say.
func fromConfig(in *api.Inspection, dir string) {
	var config map[string]any
	if readJSON(dir, "config.json", &config) == nil {
		for key, value := range config {
			in.Metadata[key] = render(value)
		}
		if names, _ := config["architectures"].([]any); len(names) > 0 {
			in.Architecture = fmt.Sprint(names[0])
		}
	}
	var tok struct {
		Model struct {
			Type  string         `json:"type"`
			Vocab map[string]any `json:"vocab"`
		} `json:"model"`
		PreTokenizer struct {
			Type string `json:"type"`
		} `json:"pre_tokenizer"`
	}
	if readJSON(dir, "tokenizer.json", &tok) == nil {
		in.Tokenizer = &api.TokenizerInfo{Kind: tok.Model.Type, Splitter: tok.PreTokenizer.Type, Vocab: len(tok.Model.Vocab), EOS: []string{}}
	}
	in.Licence = cardLicence(dir)
	in.Template = template(dir)
}

func readJSON(dir, name string, into any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// template is the source of the chat template, from where transformers looks for it.
func template(dir string) string {
	if b, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja")); err == nil {
		return string(b)
	}
	var config struct {
		Template any `json:"chat_template"`
	}
	if readJSON(dir, "tokenizer_config.json", &config) != nil {
		return ""
	}
	s, _ := config.Template.(string)
	return s
}

// cardLicence is the licence that the head of a README names.
func cardLicence(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "README.md"))
	head, found := strings.CutPrefix(string(b), "---\n")
	if err != nil || !found {
		return ""
	}
	head, _, _ = strings.Cut(head, "\n---")
	for line := range strings.Lines(head) {
		if name, ok := strings.CutPrefix(line, "license:"); ok {
			return strings.Trim(strings.TrimSpace(name), `"'`)
		}
	}
	return ""
}

// fromMeta adds what an architecture makes of the files.
func fromMeta(in *api.Inspection, m *model.Meta) {
	in.Architecture, in.Name, in.Parameters, in.Context = m.Arch, m.Name, m.Params, m.Context
	c := m.Config
	in.Pooling = c.Pooling.String()
	if m.Template != nil {
		in.Template = m.Template.Source()
	}
	for _, t := range m.Templates {
		in.Templates = append(in.Templates, t.Name)
	}
	in.Shape = &api.Shape{Layers: c.Layers, Hidden: c.Hidden, FFN: c.FFN, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Vocab: c.Vocab, RopeTheta: c.RopeTheta, RopeScale: c.Scaling.Kind, Tied: c.Tied,
		KVPerToken: 2 * 2 * uint64(m.Plan.KVLayers) * uint64(m.Plan.KVHeads) * uint64(m.Plan.HeadDim)}
	for _, w := range c.Windows {
		if w > 0 && (in.Shape.Window == 0 || w < in.Shape.Window) {
			in.Shape.Window = w
		}
	}
	if in.Tokenizer == nil {
		in.Tokenizer = &api.TokenizerInfo{}
	}
	t := in.Tokenizer
	t.Vocab, t.EOS = m.Tokenizer.VocabSize(), []string{}
	if m.BOS != tokenizer.None {
		t.BOS = string(m.Tokenizer.TokenBytes(m.BOS))
	}
	for _, id := range m.EOS {
		t.EOS = append(t.EOS, string(m.Tokenizer.TokenBytes(id)))
	}
}
