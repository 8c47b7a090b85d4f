package model

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// Model is a Meta with its weights at hand.
type Model struct {
	Meta
	file *weights.File
}

// Load opens the model at path: a GGUF file, a Hugging Face directory (config.json,
// tokenizer.json, *.safetensors), or a directory that holds one GGUF file. Every
// header is checked; weights are mapped as Tensors reaches them. Close it after the
// backend's Finalise.
func Load(path string) (*Model, error) {
	meta, file, err := open(path)
	if err != nil {
		return nil, err
	}
	return &Model{Meta: *meta, file: file}, nil
}

// LoadMeta is Load without the weights: it reads headers and small files only.
func LoadMeta(path string) (*Meta, error) {
	meta, file, err := open(path)
	if err != nil {
		return nil, err
	}
	return meta, file.Close()
}

// Tensors yields every tensor part of the Plan, in its order; the data are views of
// the mapped file, valid until Close.
func (m *Model) Tensors() iter.Seq2[*abi.Tensor, error] {
	return func(yield func(*abi.Tensor, error) bool) {
		for _, w := range m.Weights {
			view, err := m.file.Tensor(w.Source)
			if err != nil {
				yield(nil, err)
				return
			}
			t := &abi.Tensor{Name: w.Name, Part: w.Part, Rows: w.Rows, Cols: w.Cols, DType: w.DType, Data: view.Data}
			if !yield(t, nil) {
				return
			}
		}
	}
}

// Close unmaps the weights.
func (m *Model) Close() error { return m.file.Close() }

// open reads everything but the weights.
func open(path string) (*Meta, *weights.File, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, nil, err
	}
	file, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	describe := describeGGUF
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		describe = describeDirectory
	}
	meta, err := describe(path, file)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return meta, file, nil
}

// resolve finds the GGUF file of a directory that has no config.json.
func resolve(path string) (string, error) {
	stat, err := os.Stat(path)
	if err != nil || !stat.IsDir() {
		return path, err
	}
	if _, err := os.Stat(filepath.Join(path, configName)); err == nil {
		return path, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), ".gguf") })
	if len(entries) != 1 && !oneSplit(entries) {
		return "", fmt.Errorf("%s: a model directory holds %s or exactly one .gguf file (or all parts of one), this one holds %d",
			path, configName, len(entries))
	}
	return filepath.Join(path, entries[0].Name()), nil
}

// oneSplit says whether the files, sorted by name, are all parts of one GGUF file;
// the first then stands for it.
func oneSplit(entries []os.DirEntry) bool {
	if len(entries) == 0 {
		return false
	}
	base, _, _ := strings.Cut(entries[0].Name(), "-00001-of-")
	for i, e := range entries {
		if e.Name() != fmt.Sprintf("%s-%05d-of-%05d.gguf", base, i+1, len(entries)) {
			return false
		}
	}
	return true
}

// bind finds the weights of a design in the file and checks their shapes.
func (d *design) bind(fileName string, file *weights.File) (*Meta, error) {
	m := &Meta{Config: d.config, Plan: d.plan, Context: d.config.Context}
	used := map[string]bool{}
	for _, p := range d.parts {
		w, err := p.find(fileName, file)
		if err != nil {
			return nil, err
		}
		used[p.source] = true
		m.Weights = append(m.Weights, w)
		m.Params += uint64(w.Rows) * uint64(w.Cols)
	}
	for _, info := range file.Tensors() {
		if !used[info.Name] && !d.spare(info.Name) {
			return nil, &UnsupportedError{File: fileName, What: "tensor", Name: info.Name}
		}
	}
	return m, nil
}

// find looks one part up.
func (p part) find(fileName string, file *weights.File) (Weight, error) {
	info, ok := file.Info(p.source)
	if !ok {
		return Weight{}, fmt.Errorf("%s: %q: %w", fileName, p.source, weights.ErrNoTensor)
	}
	if info.DType == 0 {
		return Weight{}, &UnsupportedError{File: fileName, What: "element type", Name: info.Type,
			Have: "F32, F16, BF16, Q8_0, Q4_0, Q4_1"}
	}
	if rows, cols := info.Matrix(); rows != uint64(p.rows) || cols != uint64(p.cols) {
		return Weight{}, &ConfigError{fileName, "shape of " + p.source, info.Shape, fmt.Sprintf("must be [%d %d]", p.rows, p.cols)}
	}
	return Weight{Name: p.name, Part: p.part, Source: p.source, Rows: p.rows, Cols: p.cols, DType: info.DType}, nil
}
