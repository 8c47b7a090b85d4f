package weights

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestTensorErrors(t *testing.T) {
	f, err := Open("testdata/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensor("nobody"); !errors.Is(err, ErrNoTensor) {
		t.Errorf("unknown name: %v", err)
	}
	if _, err := f.Tensor("f32.weight"); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.Tensor("f32.weight"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestUnreadType: a type without a decoder is listed, and reading it refused.
func TestUnreadType(t *testing.T) {
	f, err := Open("testdata/blocks.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, ok := f.Info("iq4_xs"); !ok || info.Type != "IQ4_XS" || info.Size != 272 {
		t.Errorf("iq4_xs is listed as %+v", info)
	}
	if _, err := f.Tensor("iq4_xs"); !errors.Is(err, ErrType) {
		t.Errorf("IQ4_XS: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "none.safetensors"), dir} {
		if _, err := Open(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Open(%s) = %v, want not exist", path, err)
		}
	}
	if _, err := OpenGGUF(dir); err == nil {
		t.Error("a directory opened as GGUF")
	}
	if _, err := OpenGGUF(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenGGUF: %v", err)
	}
	if _, err := openIndex(filepath.Join(dir, indexName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("openIndex: %v", err)
	}
}

// TestTensorsMapOnce reads one file from several goroutines.
func TestTensorsMapOnce(t *testing.T) {
	f, err := Open("testdata/types.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := f.Tensor("q8_0.weight"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestNotRegular: pipes, directories and links that lead nowhere are refused without
// waiting for them.
func TestNotRegular(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.gguf")
	if err := os.Symlink(filepath.Join(dir, "gone"), link); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "model.safetensors")
	if err := os.Mkdir(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, inner, os.DevNull} {
		if _, err := OpenGGUF(path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open(dir); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a directory for model.safetensors: %v", err)
	}
	if _, err := ReadSmall(link, 1); !errors.Is(err, ErrNotRegular) {
		t.Errorf("ReadSmall: %v", err)
	}
	path := filepath.Join(dir, "big")
	if err := os.WriteFile(path, make([]byte, 9), 0o600); err != nil {
		t.Fatal(err)
	}
	var format *FormatError
	if _, err := ReadSmall(path, 8); !errors.As(err, &format) || format.Value != 9 || format.Bound != 8 {
		t.Errorf("9 bytes of 8: %v", err)
	}
}
