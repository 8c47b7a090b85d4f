package api

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lay writes files, given by their names, below a directory.
func lay(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
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
			files: []string{"config.json", "model.safetensors", "onnx/config.json", "original/model.safetensors", "gguf/a.gguf"},
			want:  []string{"config.json", "model.safetensors"}},
		{name: "one GGUF file", files: []string{"a.gguf"}, want: []string{"a.gguf"}},
		{name: "two GGUF files", files: []string{"a.gguf", "b.gguf"}, err: "holds 2 .gguf files that are not the parts of one; name a file"},
		{name: "all parts of one GGUF file", files: []string{"m-00002-of-00002.gguf", "m-00001-of-00002.gguf"},
			want: []string{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}},
		{name: "a part is missing", files: []string{"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}, err: "not the parts of one"},
		{name: "parts of two", files: []string{"m-00001-of-00002.gguf", "n-00002-of-00002.gguf"}, err: "not the parts of one"},
		{name: "GGUF files further down only", files: []string{"x/a.gguf"}, err: "no model files"},
		{name: "nothing", err: "no model files"},
	} {
		dir := lay(t, c.files...)
		files, total, err := modelFiles(dir)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v, want %s and %q", c.name, err, dir, c.err)
			}
			continue
		}
		var got []string
		var size uint64
		for _, f := range files {
			got = append(got, f.rel)
			size += f.size
		}
		if err != nil || !slices.Equal(got, c.want) || total != size {
			t.Errorf("%s: %q of %d bytes, %v; want %q of %d", c.name, got, total, err, c.want, size)
		}
	}
}

// Files may be links, as in a Hugging Face cache; devices have no end.
func TestModelFilesAreRegular(t *testing.T) {
	dir := lay(t, "blobs/a", "snapshot/config.json")
	if err := os.Symlink("../blobs/a", filepath.Join(dir, "snapshot", "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	files, _, err := modelFiles(filepath.Join(dir, "snapshot"))
	if err != nil || len(files) != 2 || files[1].size != uint64(len("blobs/a")) {
		t.Errorf("%+v, %v", files, err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "snapshot", "endless.json")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", filepath.Join(dir, "snapshot")} {
		if _, _, err := modelFiles(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
