package model

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// Model is a Meta with its weights at hand.
type Model struct {
	Meta
	file *weights.File
}

// Load opens the model at path: a GGUF file (the first part of a split one), a Hugging
// Face directory (config.json, tokenizer.json, *.safetensors) or its weights' file, or a
// directory that holds one GGUF file. Every header is checked; weights are mapped as
// Tensors reaches them. Close it after the backend's Finalise.
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

// Tensors yields every tensor part of the Plan, in its order, and behind an E4M3 one its
// scales; the data are views of the mapped file, valid until Close.
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
			if w.Scale == nil {
				continue
			}
			if t, err = m.scale(w); !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// scale is the scale component of a weight.
func (m *Model) scale(w Weight) (*abi.Tensor, error) {
	view, err := m.file.Tensor(w.Scale.Source)
	if err != nil {
		return nil, err
	}
	data, err := w.Scale.data(view)
	return &abi.Tensor{Name: w.Name, Part: w.Part, Component: abi.ComponentScale,
		Rows: w.Scale.Rows, Cols: w.Scale.Cols, DType: w.Scale.DType, Data: data}, err
}

// Close unmaps the weights.
func (m *Model) Close() error { return m.file.Close() }

// open reads everything but the weights.
func open(path string) (*Meta, *weights.File, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	meta, err := describe(file)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return meta, file, nil
}

// describe reads what a file of weights is of: from its metadata, or from what lies
// beside it.
func describe(file *weights.File) (*Meta, error) {
	m, err := (*Meta)(nil), error(nil)
	if file.Format() == formatGGUF {
		m, err = describeGGUF(file.Path(), file)
	} else {
		m, err = describeDirectory(filepath.Dir(file.Path()), file)
	}
	if err != nil {
		return nil, err
	}
	m.Format = file.Format()
	return m, nil
}

// formatGGUF is a format that holds configuration and tokenizer with the weights.
const formatGGUF = "gguf"

// bind finds the weights of a design in the file and checks their shapes.
func (d *design) bind(fileName string, file *weights.File) (*Meta, error) {
	m := &Meta{Config: d.config, Plan: d.plan, Context: d.config.Context}
	used := map[string]bool{}
	for _, p := range d.parts {
		w, err := d.find(p, fileName, file)
		if err != nil {
			return nil, err
		}
		used[p.source] = true
		if w.Scale != nil {
			used[w.Scale.Source] = true
		}
		m.Weights = append(m.Weights, w)
		m.Params += uint64(w.Rows) * uint64(w.Cols)
	}
	for _, info := range file.Tensors() {
		if !used[info.Name] && !d.spare(info.Name) && !d.scheme.spare(info.Name) {
			return nil, &UnsupportedError{File: fileName, What: "tensor", Name: info.Name}
		}
	}
	return m, nil
}

// find looks one part up.
func (d *design) find(p part, fileName string, file *weights.File) (Weight, error) {
	info, ok := file.Info(p.source)
	if !ok {
		return Weight{}, fmt.Errorf("%s: %q: %w", fileName, p.source, weights.ErrNoTensor)
	}
	if info.DType == 0 {
		return Weight{}, &UnsupportedError{File: fileName, What: "element type", Name: info.Type,
			Tensor: p.source, Have: strings.Join(weights.Types(), ", ")}
	}
	if rows, cols := info.Matrix(); rows != uint64(p.rows) || cols != uint64(p.cols) {
		return Weight{}, &ConfigError{fileName, "shape of " + p.source, info.Shape, fmt.Sprintf("must be [%d %d]", p.rows, p.cols)}
	}
	w := Weight{Name: p.name, Part: p.part, Source: p.source, Rows: p.rows, Cols: p.cols, DType: info.DType}
	if w.DType != abi.E4M3 {
		return w, nil
	}
	var err error
	w.Scale, err = d.scheme.scale(p, fileName, file)
	return w, err
}
