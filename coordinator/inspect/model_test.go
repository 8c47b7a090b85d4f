package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

func TestModel(t *testing.T) {
	for path, want := range map[string][3]string{tiny.GGUF(): {"gguf", "llama", "Q8_0"}, tiny.Dir(): {"safetensors", "LlamaForCausalLM", "BF16"}} {
		in, err := Model(path, true)
		if err != nil {
			t.Fatal(err)
		}
		if in.Format != want[0] || in.Architecture != want[1] || in.Quantisation[0].Type != want[2] || in.Problem != "" ||
			in.Parameters != 279104 || in.Context != tiny.Context || in.Template == "" || in.Shape.Layers != 4 || in.Shape.KVPerToken != 1024 {
			t.Errorf("%s: %+v", path, in)
		}
		if k := in.Tokenizer; k == nil || k.Kind == "" || k.Vocab != tiny.Vocab || len(k.EOS) == 0 || k.EOS[0] != "<|im_end|>" {
			t.Errorf("%s: tokenizer %+v", path, k)
		}
		tensors, bytes := 0, uint64(0)
		for _, q := range in.Quantisation {
			tensors, bytes = tensors+q.Tensors, bytes+q.Bytes
		}
		if tensors != len(in.Tensors) || bytes == 0 || bytes >= in.Size {
			t.Errorf("%s: %d of %d tensors, %d of %d bytes", path, tensors, len(in.Tensors), bytes, in.Size)
		}
		if short, err := Model(path, false); err != nil || len(short.Tensors) > 0 {
			t.Errorf("%s: tensors were not asked for: %v", path, err)
		}
	}
}

// copyOf copies the tiny directory and lets edit change it.
func copyOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tiny.Dir())); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What cannot be served is described all the same, and the reason given.
func TestModelThatCannotBeServed(t *testing.T) {
	dir := copyOf(t)
	var config map[string]any
	if err := readJSON(dir, "config.json", &config); err != nil {
		t.Fatal(err)
	}
	config["architectures"] = []string{"MysteryForCausalLM"}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "config.json", string(b))
	write(t, dir, "README.md", "---\ntags: [x]\nlicense: \"mit\"\n---\n# x\n")
	in, err := Model(dir, false)
	if err != nil || !strings.Contains(in.Problem, `architecture "MysteryForCausalLM"`) || strings.Contains(in.Problem, dir) ||
		in.Architecture != "MysteryForCausalLM" || in.Licence != "mit" || len(in.Quantisation) == 0 || in.Parameters == 0 || in.Metadata["hidden_size"] != "64" {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := Model(t.TempDir(), false); err == nil || !strings.Contains(err.Error(), "holds no weights") {
		t.Errorf("an empty directory: %v", err)
	}
	bad := filepath.Join(t.TempDir(), "x.gguf")
	write(t, filepath.Dir(bad), "x.gguf", "not a model")
	if _, err := Model(bad, false); err == nil || !strings.Contains(err.Error(), "x.gguf") {
		t.Errorf("no GGUF: %v", err)
	}
}

func TestRender(t *testing.T) {
	for want, value := range map[string]any{
		"x": "x", "3 strings": []string{"a", "b", "c"}, "2 values": []any{1, 2}, `{"a":1}`: map[string]any{"a": 1.0}, "[1 2]": []int32{1, 2},
		"1000 values": make([]int32, 1000), strings.Repeat("y", 200) + "... (300 bytes)": strings.Repeat("y", 300), "true": true,
	} {
		if got := render(value); got != want {
			t.Errorf("%v: %q, want %q", value, got, want)
		}
	}
}

// distant is a directory that is read in parts, and counts them.
type distant struct {
	dir   string
	files []RemoteFile
	read  uint64
}

func (d *distant) Read(_ context.Context, file int, offset, n uint64) ([]byte, error) {
	f, err := os.Open(filepath.Join(d.dir, d.files[file].Path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	if n > 0 {
		_, err = f.ReadAt(b, int64(offset))
	}
	d.read += n
	return b, err
}

// far puts a path where only parts of it are read.
func far(t *testing.T, path string) *distant {
	t.Helper()
	d := &distant{dir: path}
	names := []string{}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		d.dir, names = filepath.Dir(path), []string{filepath.Base(path)}
	} else {
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(d.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		d.files = append(d.files, RemoteFile{name, uint64(info.Size())})
	}
	return d
}

// A model that is read by its headers looks as it does here; the weights are not read.
func TestSparse(t *testing.T) {
	paths := []string{tiny.GGUF(), tiny.Dir()}
	if split, _ := filepath.Glob("../../engine/model/testdata/split/*-00001-of-*.gguf"); len(split) == 1 {
		paths = append(paths, filepath.Dir(split[0]))
	}
	if smol := "../../.cache/SmolLM2-135M-Instruct.Q4_1.gguf"; fileIsThere(smol) {
		paths = append(paths, smol)
	}
	for _, path := range paths {
		d := far(t, path)
		at, err := Sparse(t.Context(), d, d.files, t.TempDir())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := Model(at, true)
		want, err2 := Model(path, true)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		got.Name, want.Name = "", ""
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", path, got, want)
		}
		if want.Size > 50<<20 && d.read > want.Size/10 {
			t.Errorf("%s: read %d of %d bytes", path, d.read, want.Size)
		}
	}
}

func fileIsThere(path string) bool { _, err := os.Stat(path); return err == nil }

// Headers that go beyond the first read are found. Llama 3 keeps divisors of its
// positions in a tensor, which is read with the header.
func TestSparseReadsOn(t *testing.T) {
	defer func(n uint64) { firstRead = n }(firstRead)
	firstRead = 512
	for _, path := range []string{tiny.GGUF(), tiny.Dir(), "../../testing/golden/testdata/architectures/llama3/llama3.gguf"} {
		d := far(t, path)
		at, err := Sparse(t.Context(), d, d.files, t.TempDir())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, want := meta(t, at), meta(t, path)
		if !reflect.DeepEqual(got.Config, want.Config) || !reflect.DeepEqual(got.Weights, want.Weights) {
			t.Errorf("%s: %+v, want %+v", path, got.Config, want.Config)
		}
		if strings.Contains(path, "llama3") && len(want.Config.Scaling.Divisors) == 0 {
			t.Errorf("%s has no divisors, so nothing is proven", path)
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() && d.read >= uint64(info.Size()) {
			t.Errorf("%s: all %d bytes were read", path, d.read)
		}
	}
}

func le(n int, v uint64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return b
}

func TestSparseRefuses(t *testing.T) {
	d := &distant{dir: t.TempDir(), files: []RemoteFile{{"../x.gguf", 10}}}
	if _, err := Sparse(t.Context(), d, d.files, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no name of a file") {
		t.Errorf("a path that leaves: %v", err)
	}
	write(t, d.dir, "m.safetensors", string(le(8, 1<<40))+"{}")
	d.files = []RemoteFile{{"m.safetensors", 10}}
	if _, err := Sparse(t.Context(), d, d.files, t.TempDir()); err == nil || !strings.Contains(err.Error(), fmt.Sprint(1<<40)) {
		t.Errorf("a header of a TiB: %v", err)
	}
	d.files = []RemoteFile{{"config.json", 1 << 40}}
	if _, err := Sparse(t.Context(), d, d.files, t.TempDir()); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a config of a TiB: %v", err)
	}
}
