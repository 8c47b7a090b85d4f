package model

import (
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// precision is what a backend can do with matrices as they are put, and what it can keep
// KV in, its own type first.
type precision struct {
	quants []abi.Quant
	kv     []abi.DType
}

// precisions by backend. What is not here is refused before a file is opened.
var precisions = map[string]precision{
	"ref":  {[]abi.Quant{abi.QuantNone}, []abi.DType{abi.F32}},
	"cpu":  {[]abi.Quant{abi.QuantNone}, []abi.DType{abi.F16, abi.F32}},
	"cuda": {[]abi.Quant{abi.QuantNone, abi.QuantFP8, abi.QuantInt4}, []abi.DType{abi.BF16, abi.E4M3}},
}

// kvNames are the types of KV as users say them.
var kvNames = map[abi.DType]string{abi.BF16: "bf16", abi.F16: "f16", abi.F32: "f32", abi.E4M3: "fp8"}

// Precision reads the options quant and kv_dtype for a backend: "" and "none", and the
// type that the backend takes anyway, are zero. What it does not honour is refused by
// name.
func Precision(backend, quant, kvDType string) (q abi.Quant, kv abi.DType, err error) {
	p, ok := precisions[backend]
	if !ok {
		return 0, 0, noBackend(backend)
	}
	var quants, kvs []string
	for _, q := range p.quants {
		quants = append(quants, q.String())
	}
	for _, d := range p.kv {
		kvs = append(kvs, kvNames[d])
	}
	if quant != "" {
		n := slices.Index(quants, quant)
		if n < 0 {
			return 0, 0, badOption("quant", quant, "backend %s has only %s%s", backend, strings.Join(quants, ", "), advice(quant))
		}
		q = p.quants[n]
	}
	switch n := slices.Index(kvs, kvDType); {
	case kvDType != "" && n < 0:
		return 0, 0, badOption("kv_dtype", kvDType, "backend %s has only %s", backend, strings.Join(kvs, ", "))
	case n > 0:
		kv = p.kv[n]
	}
	return q, kv, nil
}

// advice is what to do without quantising.
func advice(quant string) string {
	if quant == abi.QuantFP8.String() || quant == abi.QuantInt4.String() {
		return "; take a file that is quantised already, as in hf:org/name-GGUF:Q4_K_M"
	}
	return ""
}

// Names are quant and kv_dtype of limits as users say them; "" is what a backend does
// anyway.
func Names(l abi.Limits) (quant, kvDType string) {
	if l.Quant != abi.QuantNone {
		quant = l.Quant.String()
	}
	return quant, kvNames[l.KVDType]
}
