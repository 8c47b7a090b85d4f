// Package model turns a model's files into what an engine runs: an architecture
// becomes a Plan (engine/abi), its tensors become the Plan's weights, and its
// footprint is known in bytes before anything is loaded.
//
// Its nouns: a [Meta] is a model without its weights (shape, Plan, tokenizer, chat
// template, special tokens), read from headers and small files only; a [Model] is a
// Meta with its weights mapped; a [Config] is the shape an architecture's Plan is
// written from; a [Weight] ties one part of a Plan's tensor to a tensor in the file;
// [Footprint] is the bytes a backend will report from Finalise.
//
// An architecture registers under its Hugging Face name and, where GGUF files of it
// exist, under its GGUF name. An unknown architecture, an option that changes the
// mathematics and is not honoured, and a tensor that the Plan has no use for are
// refused by name: nothing is silently ignored.
//
// A new architecture of the decoder family is one file: it reads its configuration
// into a [Config], says what absent keys mean, and refuses what it does not honour.
// Its proof is an entry in testing/golden/architectures.py.
//
// The package is pure Go: coordinators and gateways open models with it.
package model
