package hostile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// directories are of shapes that no model has.
func directories(t *testing.T) (files []file) {
	gguf, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, kind kind, write func(dir string) (string, error), say ...string) {
		files = append(files, file{name, write, kind, say})
	}
	put := func(names ...string) func(string) (string, error) {
		return func(dir string) (string, error) {
			for _, name := range names {
				if err := os.WriteFile(filepath.Join(dir, name), gguf, 0o600); err != nil {
					return "", err
				}
			}
			return dir, nil
		}
	}
	anything := func(error) bool { return true }
	missing, irregular := is(os.ErrNotExist), is(weights.ErrNotRegular)
	add("nothing", missing, put(), weightsName)
	add("no such path", missing, func(dir string) (string, error) { return filepath.Join(dir, "none"), nil }, "none")
	add("two models", anything, put("a.gguf", "b.gguf"), "a.gguf", "b.gguf", "name the one to open")
	add("parts of two models", anything, put("a-00001-of-00002.gguf", "b-00002-of-00002.gguf"), "name the one to open")
	add("two parts of three", anything, put("a-00001-of-00003.gguf", "a-00002-of-00003.gguf"), "name the one to open")
	add("a part and a whole", anything, put("a-00001-of-00001.gguf", "b.gguf"), "name the one to open")
	for _, name := range []string{"pytorch_model.bin", "consolidated.00.pth", "model.pt", "weights.pkl", "weights.pickle", "model.ckpt", "model.nemo", "model.keras", "model.h5"} {
		add("only "+name, is(weights.ErrPickle), put(name), name, "convert them to safetensors")
		add(name+" itself", is(weights.ErrPickle), func(dir string) (string, error) {
			_, err := put(name)(dir)
			return filepath.Join(dir, name), err
		}, name, "convert them to safetensors")
	}
	add("a tokenizer only", missing, tinyWith(map[string][]byte{weightsName: nil}), weightsName)
	add("weights only", missing, func(dir string) (string, error) {
		return filepath.Join(dir, weightsName), os.WriteFile(filepath.Join(dir, weightsName), tinyFile(t, weightsName), 0o600)
	}, configName)
	add("without config.json", missing, tinyWith(map[string][]byte{configName: nil}), configName)
	add("without tokenizer.json", missing, tinyWith(map[string][]byte{"tokenizer.json": nil}), "tokenizer.json")

	// Something else in the place of each file.
	for _, name := range []string{weightsName, configName, "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "model.gguf"} {
		place := func(make func(path string) error) func(string) (string, error) {
			return func(dir string) (string, error) {
				files := map[string][]byte{name: nil}
				if name == "model.gguf" {
					return filepath.Join(dir, name), make(filepath.Join(dir, name))
				}
				if _, err := tinyWith(files)(dir); err != nil {
					return "", err
				}
				return dir, make(filepath.Join(dir, name))
			}
		}
		link := func(to string) func(string) error { return func(path string) error { return os.Symlink(to, path) } }
		sort := irregular
		if name == "model.gguf" {
			sort = func(err error) bool { return irregular(err) || missing(err) }
		}
		add("a pipe for "+name, irregular, place(func(path string) error { return syscall.Mkfifo(path, 0o600) }), name)
		add("a link to a device for "+name, irregular, place(link("/dev/zero")), name)
		add("a link that leads nowhere for "+name, sort, place(link("gone")), name)
		add("a link to itself for "+name, anything, place(link(name)), name)
		add("a link to a directory for "+name, sort, place(link("/etc")))
		if name != "model.gguf" {
			add("a directory for "+name, irregular, place(func(path string) error { return os.Mkdir(path, 0o700) }), name)
			add("a link out to a secret for "+name, anything, place(link("/etc/passwd")), strings.TrimSuffix(name, ".jinja"))
		} else {
			add("a link out to a secret for "+name, is(weights.ErrMagic), place(link("/etc/passwd")), name)
		}
	}
	files = discard(files, "a link out to a secret for chat_template.jinja") // any text is a template
	add("a socket", irregular, func(dir string) (string, error) {
		path := filepath.Join(dir, "m.gguf")
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			return "", err
		}
		defer syscall.Close(fd)
		return path, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
	}, "m.gguf")
	add("a directory named m.gguf", missing, func(dir string) (string, error) {
		path := filepath.Join(dir, "m.gguf")
		return path, os.Mkdir(path, 0o700)
	}, "m.gguf")
	for _, name := range []string{"m.txt", "m.json", "m.zip", "m"} {
		add("text in "+name, is(weights.ErrMagic), one(name, []byte("no model at all, but some text that is long enough\n")), name, "magic")
	}
	add("an empty file", is(weights.ErrTruncated), one("m.gguf", nil), "m.gguf", "magic")
	add("an empty index", is(weights.ErrSyntax), one("model.safetensors.index.json", nil), "model.safetensors.index.json")
	return files
}

func discard(files []file, name string) (kept []file) {
	for _, f := range files {
		if f.name != name {
			kept = append(kept, f)
		}
	}
	return kept
}
