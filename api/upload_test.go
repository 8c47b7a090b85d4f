package api

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lay writes files, given by their names, below a directory; they begin as GGUF does.
func lay(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("GGUF "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModelFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  []string
		err   string
	}{
		{name: "a Hugging Face directory",
			files: []string{"config.json", "tokenizer.json", "model.safetensors", "README.md", ".gitattributes", ".hidden.json", "chat_template.jinja"},
			want:  []string{"chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"}},
		{name: "other formats further down",
			files: []string{"config.json", "model.safetensors", "tokenizer.model", "onnx/config.json", "original/model.safetensors", "gguf/a.gguf"},
			want:  []string{"config.json", "model.safetensors", "tokenizer.model"}},
		{name: "a model for embeddings, and templates by name",
			files: []string{"config.json", "model.safetensors", "modules.json", "1_Pooling/config.json", "1_Pooling/x.json", "2_Dense/config.json",
				"additional_chat_templates/tool_use.jinja", "additional_chat_templates/.x.jinja", "additional_chat_templates/deep/x.jinja", "additional_chat_templates/README.md"},
			want: []string{"1_Pooling/config.json", "additional_chat_templates/tool_use.jinja", "config.json", "model.safetensors", "modules.json"}},
		{name: "one GGUF file", files: []string{"a.gguf"}, want: []string{"a.gguf"}},
		{name: "two GGUF files", files: []string{"a.gguf", "b.gguf"}, err: "holds 2 .gguf files that are not the parts of one; name a file"},
		{name: "all parts of one GGUF file", files: []string{"m-00002-of-00002.gguf", "m-00001-of-00002.gguf"},
			want: []string{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}},
		{name: "a part is missing", files: []string{"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}, err: "not the parts of one"},
		{name: "parts of two", files: []string{"m-00001-of-00002.gguf", "n-00002-of-00002.gguf"}, err: "not the parts of one"},
		{name: "GGUF files further down only", files: []string{"x/a.gguf"}, err: "holds no weights"},
		{name: "nothing", err: "holds no weights"},
		{name: "no weights", files: []string{"config.json", "tokenizer.json"}, err: "neither *.safetensors nor a .gguf file"},
		{name: "pickle", files: []string{"config.json", "pytorch_model.bin"}, err: "its weights are pickle (pytorch_model.bin)"},
		{name: "pickle beside", files: []string{"config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin"}, want: []string{"config.json", "model.safetensors", "tokenizer.json"}},
	} {
		dir := lay(t, c.files...)
		files, err := LocalModel(dir)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v, want %s and %q", c.name, err, dir, c.err)
			}
			continue
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Rel)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// Files may be links, as in a Hugging Face cache; devices have no end.
func TestModelFilesAreRegular(t *testing.T) {
	dir := lay(t, "blobs/a", "snapshot/config.json", "snapshot/tokenizer.json")
	if err := os.Symlink("../blobs/a", filepath.Join(dir, "snapshot", "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	files, err := LocalModel(filepath.Join(dir, "snapshot"))
	if err != nil || len(files) != 3 || files[1].Size != uint64(len("GGUF blobs/a")) {
		t.Errorf("%+v, %v", files, err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "snapshot", "endless.json")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", filepath.Join(dir, "snapshot")} {
		if _, err := LocalModel(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What lacks a part that every engine needs is refused before it is hashed and sent.
func TestIncomplete(t *testing.T) {
	nobody := NewClient("http://127.0.0.1:1", "", nil)
	for want, names := range map[string][]string{
		"holds no config.json": {"model.safetensors", "tokenizer.json"},
		"holds no tokenizer.json (nor tokenizer.model); copy it": {"config.json", "model.safetensors", "tokenizer_config.json"},
	} {
		dir := lay(t, names...)
		if _, err := nobody.AddModel(t.Context(), "m", dir, nil); err == nil || !strings.Contains(err.Error(), dir+": "+want) {
			t.Errorf("%q: %v, want %q", names, err, want)
		}
	}
	for _, names := range [][]string{{"a.gguf"}, {"config.json", "model.safetensors", "tokenizer.model"}} {
		if _, err := nobody.AddModel(t.Context(), "m", lay(t, names...), nil); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%q: %v, want it to be sent", names, err)
		}
	}
}

// A file may stand for its parts.
func TestLocalFile(t *testing.T) {
	dir := lay(t, "a.gguf", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "n-00001-of-00002.gguf", "w.bin", "model.safetensors", "config.json", "sha256-1")
	for name, text := range map[string]string{"noise.gguf": "noise", "short.gguf": "GG", "empty.gguf": "", "hostname": "host\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		want int
		err  string
	}{
		{"a.gguf", 1, ""}, {"m-00001-of-00002.gguf", 2, ""},
		{"m-00002-of-00002.gguf", 0, "is not the first part; name m-00001-of-00002.gguf"},
		{"n-00001-of-00002.gguf", 0, "n-00002-of-00002.gguf: no such file or directory: n-00001-of-00002.gguf has 2 parts"},
		{"w.bin", 0, "pickle"}, {"x.gguf", 0, "no such file"},
		{"noise.gguf", 0, "noise.gguf: is no model, for a GGUF file begins"}, {"short.gguf", 0, "want a .gguf file, or a Hugging Face directory"},
		{"empty.gguf", 0, "empty.gguf: is empty; want a .gguf file"}, {"hostname", 0, dir + "/hostname: is no model"},
		{"model.safetensors", 0, "is one file of a model; name its directory, " + dir}, {"config.json", 0, "name its directory"},
		{"sha256-1", 0, "give it a name that ends in .gguf"},
	} {
		files, err := LocalModel(filepath.Join(dir, c.name))
		if len(files) != c.want || (c.err == "") != (err == nil) || c.err != "" && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want %d, %q", c.name, files, err, c.want, c.err)
		}
	}
}

// A file that is not what its source announced is not sent.
func TestExpectedDigest(t *testing.T) {
	dir := lay(t, "a.gguf")
	_, err := NewClient("http://127.0.0.1:1", "", nil).AddFiles(t.Context(), "m",
		[]LocalFile{{Abs: filepath.Join(dir, "a.gguf"), Rel: "a.gguf", Size: 6, SHA256: strings.Repeat("0", 64)}}, Origin{}, nil)
	if err == nil || !strings.Contains(err.Error(), "it is damaged") {
		t.Errorf("%v", err)
	}
}
