package model

import (
	"github.com/nanofleet/nanofleet/engine/abi"
	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/tokenizer"
)

// Meta is a model without its weights. It is immutable once loaded.
type Meta struct {
	Format  string // "gguf", "safetensors"
	Arch    string // as registered: "LlamaForCausalLM", "llama"
	Name    string // what the files call the model
	Config  Config
	Plan    abi.Plan
	Weights []Weight
	Params  uint64 // weights counted once, biases and norms included

	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template // the default; nil when the model has none
	Templates []chat.Named   // those besides it, by name
	BOS       int32          // tokenizer.None when there is none
	EOS       []int32        // any of them ends a text; may be empty
	BOSText   string         // as the chat template's bos_token
	EOSText   string
	Context   uint32 // longest sequence, tokens
}

// Weight says which tensor of the file is one part of a tensor of the Plan. A
// vector (norm, bias) is one row.
type Weight struct {
	Name       string // in the Plan
	Part       uint32 // q, k, v or gate, up
	Source     string // in the file
	Rows, Cols uint32
	DType      abi.DType
	Scale      *Scale // of E4M3, else nil
}

// Bytes the weight takes as backends get it, with its scales.
func (w Weight) Bytes() uint64 {
	bytes := uint64(w.Rows) * uint64(w.DType.RowBytes(int(w.Cols)))
	if s := w.Scale; s != nil {
		bytes += uint64(s.Rows) * uint64(s.DType.RowBytes(int(s.Cols)))
	}
	return bytes
}

// Quantisation is the element type that most of the weights' bytes have: "q4_k", "bf16".
func (m *Meta) Quantisation() string {
	bytes := map[abi.DType]uint64{}
	var most abi.DType
	for _, w := range m.Weights {
		bytes[w.DType] += w.Bytes()
		if bytes[w.DType] > bytes[most] {
			most = w.DType
		}
	}
	return most.String()
}

// FileBytes is what the weights take in their files.
func (m *Meta) FileBytes() (total uint64) {
	for _, w := range m.Weights {
		total += w.Bytes()
	}
	return total
}
