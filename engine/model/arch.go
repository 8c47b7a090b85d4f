package model

import (
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// design is what an architecture makes of a configuration: its Plan, and the parts
// of the Plan's tensors by their names in the file.
type design struct {
	config Config
	plan   abi.Plan
	parts  []part
	// spare says of a tensor that no part names whether it may be left unread.
	spare func(name string) bool
	// scheme says how FP8 weights are scaled; nil where there are none.
	scheme *fp8Scheme
}

// part is a Weight before the file was looked into.
type part struct {
	name       string
	part       uint32
	source     string
	rows, cols uint32
}

// Architectures by Hugging Face name read config.json, those by GGUF name the
// metadata. One file per architecture registers both from its init.
var (
	fromJSON = map[string]func(*jsonConfig) (*design, error){}
	fromGGUF = map[string]func(*ggufConfig) (*design, error){}
)

// supported lists the names of a registry.
func supported[V any](registry map[string]V) string {
	names := make([]string, 0, len(registry))
	for name := range registry {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
