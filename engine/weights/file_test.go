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
