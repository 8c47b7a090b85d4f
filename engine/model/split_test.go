package model

import (
	"os"
	"path/filepath"
	"testing"
)

// TestResolveSplitFiles: all parts of one GGUF file in a directory are one model.
func TestResolveSplitFiles(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"m.gguf", "README.md"}, "m.gguf"},
		{[]string{"m-00002-of-00002.gguf", "m-00001-of-00002.gguf"}, "m-00001-of-00002.gguf"},
		{[]string{"a-1-00001-of-00001.gguf"}, "a-1-00001-of-00001.gguf"},
		{[]string{"m-00001-of-00003.gguf", "m-00002-of-00003.gguf"}, ""},
		{[]string{"m-00001-of-00002.gguf", "n-00002-of-00002.gguf"}, ""},
		{[]string{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "m.gguf"}, ""},
		{[]string{"a.gguf", "b.gguf"}, ""},
		{nil, ""},
	} {
		dir := t.TempDir()
		for _, name := range c.names {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := resolve(dir)
		if (err == nil) != (c.want != "") || err == nil && got != filepath.Join(dir, c.want) {
			t.Errorf("%v: %q, %v; want %q", c.names, got, err, c.want)
		}
	}
}
