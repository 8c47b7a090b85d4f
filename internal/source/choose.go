package source

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Files of a model in Hugging Face's form; the first two must be there.
const (
	configFile    = "config.json"
	tokenizerFile = "tokenizer.json"
	weightsFile   = "model.safetensors"
	indexFile     = "model.safetensors.index.json"
)

// besides are the small files that are taken where they are.
var besides = []string{
	"generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"chat_template.jinja", "chat_template.json",
	"modules.json", "sentence_bert_config.json", "1_Pooling/config.json",
}

// place is where a file of a repository belongs: weights beside each other, wherever
// they lie there, and what has a directory of its own in that.
func place(name string) string {
	if isGGUF(name) {
		return path.Base(name)
	}
	return name
}

// isTemplate finds the chat templates that lie in a directory of their own, by name.
func isTemplate(name string) bool {
	dir, file := path.Split(name)
	return dir == "additional_chat_templates/" && path.Ext(file) == ".jinja"
}

// choose picks the files of one model out of a repository.
func (h *hubRepo) choose(ctx context.Context, info *repository) ([]sibling, error) {
	byName := map[string]sibling{}
	var names []string
	for _, s := range info.Siblings {
		byName[s.Name] = s
		names = append(names, s.Name)
	}
	chosen, err := h.names(ctx, info.SHA, names)
	if err != nil {
		return nil, err
	}
	if len(chosen) > maxFiles {
		return nil, fmt.Errorf("%s: %d files, at most %d", h, len(chosen), maxFiles)
	}
	out := make([]sibling, 0, len(chosen))
	for _, name := range chosen {
		s, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("%s: %s is missing, so the model is incomplete there", h, name)
		}
		out = append(out, s)
	}
	return out, nil
}

func (h *hubRepo) names(ctx context.Context, sha string, all []string) ([]string, error) {
	switch {
	case h.file != "":
		return h.oneFile(all)
	case h.quant != "":
		return h.quantised(all)
	case slices.Contains(all, weightsFile) || slices.Contains(all, indexFile):
		return h.directory(ctx, sha, all)
	}
	if ggufs := models(all); len(ggufs) == 1 {
		return allParts(ggufs[0])
	} else if len(ggufs) > 1 {
		return nil, fmt.Errorf("%s holds %d GGUF files; say which by its quantisation, as in hf:%s:Q4_K_M, or by --file: %s",
			h, len(ggufs), h.id, few(ggufs))
	}
	for _, name := range all {
		if isPickle(name) {
			return nil, refusePickle(h.String(), name)
		}
	}
	return nil, fmt.Errorf("%s: neither %s nor a .gguf file is there; it holds %s", h, weightsFile, few(all))
}

// oneFile takes the file that was asked for, with its parts.
func (h *hubRepo) oneFile(all []string) ([]string, error) {
	switch {
	case isPickle(h.file):
		return nil, refusePickle(h.String(), h.file)
	case !isGGUF(h.file):
		return nil, fmt.Errorf("%s: --file %s: only a .gguf file is a model by itself; without --file the whole of a safetensors model is taken", h, clip(h.file))
	case !slices.Contains(all, h.file):
		return nil, fmt.Errorf("%s has no file %q; its GGUF files are %s", h, clip(h.file), few(models(all)))
	}
	return allParts(h.file)
}

// quantised finds the one GGUF file whose name says the quantisation.
func (h *hubRepo) quantised(all []string) ([]string, error) {
	ggufs := models(all)
	var found []string
	for _, name := range ggufs {
		if saysQuant(name, h.quant) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s has no GGUF file of quantisation %q; its GGUF files are %s", h, clip(h.quant), few(ggufs))
	case 1:
		return allParts(found[0])
	}
	return nil, fmt.Errorf("%s has %d GGUF files of quantisation %q; name one with --file: %s", h, len(found), clip(h.quant), few(found))
}

// saysQuant finds a quantisation in a file's name as a word of its own: Q4_K is not in
// Q4_K_M.
func saysQuant(name, quant string) bool {
	name, quant = strings.ToLower(strings.TrimSuffix(name, path.Ext(name))), strings.ToLower(quant)
	for at := 0; ; {
		n := strings.Index(name[at:], quant)
		if n < 0 {
			return false
		}
		begin, end := at+n, at+n+len(quant)
		if (begin == 0 || strings.ContainsRune("-._/", rune(name[begin-1]))) &&
			(end == len(name) || strings.ContainsRune("-./", rune(name[end]))) {
			return true
		}
		at = begin + 1
	}
}

// models lists the GGUF files that are models, a split one by its first part.
// Projectors of images lie beside them.
func models(all []string) (list []string) {
	for _, name := range all {
		_, part, n := splitPart(name)
		if isGGUF(name) && (n == 0 || part == 1) && !strings.HasPrefix(strings.ToLower(path.Base(name)), "mmproj") {
			list = append(list, name)
		}
	}
	return list
}

// directory takes a model in Hugging Face's form: its weights, and what lies beside.
func (h *hubRepo) directory(ctx context.Context, sha string, all []string) ([]string, error) {
	for _, name := range []string{configFile, tokenizerFile} {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%s has no %s, without which its weights cannot be served; look for a GGUF version of the model", h, name)
		}
	}
	chosen := []string{configFile, tokenizerFile}
	for _, name := range besides {
		if slices.Contains(all, name) {
			chosen = append(chosen, name)
		}
	}
	for _, name := range all {
		if isTemplate(name) {
			chosen = append(chosen, name)
		}
	}
	if slices.Contains(all, weightsFile) {
		return append(chosen, weightsFile), nil
	}
	index, err := h.web.text(ctx, h.address(sha, indexFile))
	if err != nil {
		return nil, h.explain(err)
	}
	shards, err := shardsOf(h.String(), index)
	return append(append(chosen, indexFile), shards...), err
}

// shardsOf lists the files that an index of safetensors names.
func shardsOf(where string, index []byte) ([]string, error) {
	var doc struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(index, &doc); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", where, indexFile, err)
	}
	var shards []string
	seen := map[string]bool{}
	for _, name := range doc.WeightMap {
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := checkPath(where+": "+indexFile, name); err != nil {
			return nil, err
		}
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".safetensors") {
			return nil, fmt.Errorf("%s: %s names a shard %q, must be a .safetensors file beside it", where, indexFile, clip(name))
		}
		shards = append(shards, name)
	}
	if len(shards) == 0 {
		return nil, fmt.Errorf("%s: %s names no shard", where, indexFile)
	}
	slices.Sort(shards)
	return shards, nil
}

// few lists some names, for an error.
func few(names []string) string {
	const most = 12
	if len(names) == 0 {
		return "none"
	}
	shown := slices.Clone(names[:min(len(names), most)])
	for i := range shown {
		shown[i] = clip(shown[i])
	}
	s := strings.Join(shown, ", ")
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return s
}
