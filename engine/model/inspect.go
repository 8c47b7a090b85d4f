package model

import (
	"errors"
	"path/filepath"

	"github.com/nanofleet/nanofleet/engine/weights"
)

// Inspection is what the files of a model say, whether or not an engine can run it.
type Inspection struct {
	Meta    *Meta  // nil where Problem says why
	Problem error  // what keeps engines from running it
	Path    string // the file that was opened
	Format  string // "gguf", "safetensors"
	Files   []string
	Tensors []weights.Info // in file order
	// Metadata of the file: of GGUF every key, of safetensors what its writer left.
	Metadata map[string]any
	// Config is config.json beside safetensors; nil for GGUF.
	Config map[string]any
}

// Inspect opens the model at path as Load does and lists all that its headers and small
// files hold. It fails only where the weights' files cannot be read; what else is wrong
// is the Inspection's Problem.
func Inspect(path string) (*Inspection, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	i := &Inspection{Path: file.Path(), Format: file.Format(), Files: file.Paths(), Tensors: file.Tensors(), Metadata: file.Meta()}
	if i.Format != formatGGUF {
		if c, err := readConfig(filepath.Dir(i.Path), configName); err == nil {
			i.Config = c.values
		}
	}
	i.Meta, i.Problem = describe(file)
	if err := file.Close(); err != nil {
		return nil, errors.Join(i.Problem, err)
	}
	return i, nil
}

// Params counts the elements of all tensors.
func (i *Inspection) Params() (n uint64) {
	for _, t := range i.Tensors {
		n += t.Elements()
	}
	return n
}

// Bytes of all tensors in their files.
func (i *Inspection) Bytes() (n uint64) {
	for _, t := range i.Tensors {
		n += t.Size
	}
	return n
}

// fileTypes are the mixtures that general.file_type names.
var fileTypes = map[uint32]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
	14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 21: "Q2_K_S", 32: "BF16",
}

// Quantisation is the name of the mixture where a GGUF file gives one ("Q4_K_M"), else
// the type that most bytes of the tensors have.
func (i *Inspection) Quantisation() string {
	if n, ok := i.Metadata["general.file_type"].(uint32); ok && fileTypes[n] != "" && i.Format == formatGGUF {
		return fileTypes[n]
	}
	bytes, most := map[string]uint64{}, ""
	for _, t := range i.Tensors {
		if bytes[t.Type] += t.Size; bytes[t.Type] > bytes[most] {
			most = t.Type
		}
	}
	return most
}
