package weights

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// partText is part n of count with one tensor, of total tensors in all parts.
func partText(n, count uint16, total int32, tensor string, extra ...any) []byte {
	pairs := u64(3 + len(extra)/2)
	b := append(start(1, pairs), ggufText("split.no", u32(ggufUint16), n, "split.count", u32(ggufUint16), count,
		"split.tensors.count", u32(ggufInt32), total)...)
	for i := 0; i < len(extra); i += 2 {
		b = append(b, ggufText(extra[i], u32(ggufString), extra[i+1])...)
	}
	return pad(append(b, ggufText(tensor, u32(1), u64(8), u32(0), u64(0))...), 32)
}

// writeFiles makes a directory.
func writeFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSplit(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{
		"m-00001-of-00003.gguf": partText(0, 3, 3, "a", "general.name", "m"),
		"m-00002-of-00003.gguf": partText(1, 3, 3, "b"),
		"m-00003-of-00003.gguf": partText(2, 3, 3, "c", "general.name", "m"),
	})
	for _, path := range []string{dir, filepath.Join(dir, "m-00001-of-00003.gguf")} {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(f.Tensors()) != 3 || len(f.Paths()) != 3 || f.Format() != "gguf" || f.Meta()["general.name"] != "m" {
			t.Errorf("%s: %v of %v, %v", path, f.Tensors(), f.Paths(), f.Meta())
		}
		for _, name := range []string{"a", "b", "c"} {
			if tensor, err := f.Tensor(name); err != nil || len(tensor.Data) != 32 {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestSplitRefuses gives parts that do not make one model.
func TestSplitRefuses(t *testing.T) {
	const one, two, three = "m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"
	a, b, c := partText(0, 3, 3, "a"), partText(1, 3, 3, "b"), partText(2, 3, 3, "c")
	for _, x := range []struct {
		what, open string
		files      map[string][]byte
		kind       error
		want       string
	}{
		{"missing", one, map[string][]byte{one: a, three: c}, os.ErrNotExist, two + ": part 2 of " + one},
		{"not the first", two, map[string][]byte{one: a, two: b, three: c}, ErrParts, "open the first part, " + one},
		{"doubled", one, map[string][]byte{one: a, two: a, three: c}, ErrParts, `m-00002-of-00003.gguf: "split.no": value 0 (bound 1)`},
		{"reordered", one, map[string][]byte{one: a, two: c, three: b}, ErrParts, `"split.no": value 2 (bound 1)`},
		{"first swapped", one, map[string][]byte{one: b, two: a, three: c}, ErrParts, `"split.no": value 1 (bound 0)`},
		{"of another count", one, map[string][]byte{one: a, two: partText(1, 2, 3, "b"), three: c}, ErrParts, `"split.count": value 2 (bound 3)`},
		{"of another sum", one, map[string][]byte{one: a, two: partText(1, 3, 4, "b"), three: c}, ErrParts, `"split.tensors.count": value 4 (bound 3)`},
		{"wrong sum", one, map[string][]byte{one: partText(0, 3, 4, "a"), two: partText(1, 3, 4, "b"), three: partText(2, 3, 4, "c")}, ErrParts, `"split.tensors.count": value 4 (bound 3)`},
		{"of another model", one, map[string][]byte{one: a, two: partText(1, 3, 3, "b", "general.architecture", "qwen2"), three: c}, ErrParts, `"general.architecture"`},
		{"a tensor twice", one, map[string][]byte{one: a, two: partText(1, 3, 3, "a"), three: c}, ErrDuplicate, `m-00002-of-00003.gguf: "a"`},
		{"whole file as a part", one, map[string][]byte{one: a, two: start(0, 0), three: c}, ErrParts, `"split.no": value 0 (bound 1)`},
		{"renamed", "model.gguf", map[string][]byte{"model.gguf": a}, ErrParts, "a part must keep its name, BASE-00001-of-00003.gguf"},
		{"renamed to fewer", "m-00001-of-00002.gguf", map[string][]byte{"m-00001-of-00002.gguf": a, "m-00002-of-00002.gguf": b}, ErrParts, `"split.count": value 3 (bound 2)`},
		{"whole file with a part's name", one, map[string][]byte{one: start(0, 0), two: b, three: c}, ErrParts, `"split.count": value 0 (bound 3)`},
		{"negative", one, map[string][]byte{one: partText(0, 3, -1, "a"), two: b, three: c}, ErrParts, `"split.tensors.count": value 0 (bound 65535)`},
		{"count is text", "m.gguf", map[string][]byte{"m.gguf": append(start(0, 1), ggufText("split.count", u32(ggufString), "3")...)}, ErrParts, "3 is not a count"},
		{"many parts", "m-00001-of-60000.gguf", map[string][]byte{"m-00001-of-60000.gguf": partText(0, 60000, 3, "a")}, ErrParts, `value 60000 (bound 4096)`},
		{"broken part", one, map[string][]byte{one: a, two: b[:len(b)-1], three: c}, ErrTruncated, two},
	} {
		f, err := Open(filepath.Join(writeFiles(t, x.files), x.open))
		if !errors.Is(err, x.kind) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %v with %s", x.what, err, x.kind, x.want)
		}
		if f != nil {
			t.Errorf("%s: a file came with the error", x.what)
		}
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string // or, with a space, part of the error
	}{
		{[]string{"m.gguf", "README.md"}, "m.gguf"},
		{[]string{"m-00002-of-00002.gguf", "m-00001-of-00002.gguf"}, "m-00001-of-00002.gguf"},
		{[]string{"a-1-00001-of-00001.gguf"}, "a-1-00001-of-00001.gguf"},
		{[]string{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}, "model.safetensors"},
		{[]string{"model.safetensors.index.json", "m.gguf"}, "model.safetensors.index.json"},
		{[]string{"m-00001-of-00003.gguf", "m-00002-of-00003.gguf"}, "2 .gguf files"},
		{[]string{"m-00001-of-00002.gguf", "n-00002-of-00002.gguf"}, "2 .gguf files"},
		{[]string{"a.gguf", "b.gguf", "c.gguf"}, "3 .gguf files"},
		{[]string{"config.json", "pytorch_model.bin"}, "pytorch_model.bin: pickled weights are never read"},
		{[]string{"config.json"}, "no model.safetensors"},
	} {
		files := map[string][]byte{}
		for _, name := range c.names {
			files[name] = nil
		}
		dir := writeFiles(t, files)
		got, err := Find(dir)
		if strings.Contains(c.want, " ") != (err != nil) {
			t.Errorf("%v: %q, %v", c.names, got, err)
		} else if err == nil && got != filepath.Join(dir, c.want) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %q, %v; want %s", c.names, got, err, c.want)
		}
	}
	for _, name := range []string{"m.bin", "m.PT", "m.pth", "m.pkl", "m.ckpt", "m.nemo"} {
		dir := writeFiles(t, map[string][]byte{name: []byte("\x80\x02.")})
		if _, err := Open(filepath.Join(dir, name)); !errors.Is(err, ErrPickle) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
