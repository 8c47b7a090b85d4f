package weights

import (
	"cmp"
	"slices"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// elementType is a storage type as a file format names it.
type elementType struct {
	name   string
	block  uint64    // weights stored together
	bytes  uint64    // they take
	decode abi.DType // 0: listed only
}

// ggmlTypes are the numbers of GGUF tensor types (ggml_type) with their block sizes.
var ggmlTypes = map[uint32]elementType{
	0:  {"F32", 1, 4, abi.F32},
	1:  {"F16", 1, 2, abi.F16},
	2:  {"Q4_0", 32, 18, abi.Q4_0},
	3:  {"Q4_1", 32, 20, abi.Q4_1},
	6:  {"Q5_0", 32, 22, abi.Q5_0},
	7:  {"Q5_1", 32, 24, abi.Q5_1},
	8:  {"Q8_0", 32, 34, abi.Q8_0},
	9:  {"Q8_1", 32, 40, 0},
	10: {"Q2_K", 256, 84, abi.Q2_K},
	11: {"Q3_K", 256, 110, abi.Q3_K},
	12: {"Q4_K", 256, 144, abi.Q4_K},
	13: {"Q5_K", 256, 176, abi.Q5_K},
	14: {"Q6_K", 256, 210, abi.Q6_K},
	15: {"Q8_K", 256, 292, 0},
	16: {"IQ2_XXS", 256, 66, 0},
	17: {"IQ2_XS", 256, 74, 0},
	18: {"IQ3_XXS", 256, 98, 0},
	19: {"IQ1_S", 256, 50, 0},
	20: {"IQ4_NL", 32, 18, 0},
	21: {"IQ3_S", 256, 110, 0},
	22: {"IQ2_S", 256, 82, 0},
	23: {"IQ4_XS", 256, 136, 0},
	24: {"I8", 1, 1, 0},
	25: {"I16", 1, 2, 0},
	26: {"I32", 1, 4, 0},
	27: {"I64", 1, 8, 0},
	28: {"F64", 1, 8, 0},
	29: {"IQ1_M", 256, 56, 0},
	30: {"BF16", 1, 2, abi.BF16},
	34: {"TQ1_0", 256, 54, 0},
	35: {"TQ2_0", 256, 66, 0},
	39: {"MXFP4", 32, 17, 0},
	40: {"NVFP4", 64, 36, 0},
	41: {"Q1_0", 128, 18, 0},
}

// safetensorsTypes are the type names of the safetensors format; those with more
// than one element a byte are not among them.
var safetensorsTypes = map[string]elementType{
	"F32":     {"F32", 1, 4, abi.F32},
	"F16":     {"F16", 1, 2, abi.F16},
	"BF16":    {"BF16", 1, 2, abi.BF16},
	"F64":     {"F64", 1, 8, 0},
	"I64":     {"I64", 1, 8, 0},
	"I32":     {"I32", 1, 4, 0},
	"I16":     {"I16", 1, 2, 0},
	"I8":      {"I8", 1, 1, 0},
	"U64":     {"U64", 1, 8, 0},
	"U32":     {"U32", 1, 4, 0},
	"U16":     {"U16", 1, 2, 0},
	"U8":      {"U8", 1, 1, 0},
	"BOOL":    {"BOOL", 1, 1, 0},
	"F8_E4M3": {"F8_E4M3", 1, 1, abi.E4M3},
	"F8_E5M2": {"F8_E5M2", 1, 1, 0},
	"F8_E8M0": {"F8_E8M0", 1, 1, 0},
}

// Types lists the names of the element types that are decoded, plain ones first.
func Types() []string {
	types := []elementType{safetensorsTypes["F8_E4M3"]} // the one that GGUF lacks
	for _, t := range ggmlTypes {
		if t.decode != 0 {
			types = append(types, t)
		}
	}
	slices.SortFunc(types, func(a, b elementType) int { return cmp.Compare(a.decode, b.decode) })
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.name
	}
	return names
}
