// Package kv manages the KV pages of an engine and finds prefixes in them.
//
// Its nouns: a page is 64 positions of K, V and token ids in the backend's pool, known
// here by its number only; a [Pool] lends pages, counts who holds each, and keeps
// those that nobody holds but somebody may ask for again; a [Hash] names everything
// from a sequence's start to the end of one full page, so that equal hashes mean equal
// contents; a chain of them is a prefix.
//
// Hashes are SHA-256 and begin with the requester's salt: nobody finds, or can guess
// at, what another salt has cached. A page is found only after [Pool.Publish], which
// the engine calls once the step that filled the page has run.
//
// The package is a pure core: no clock, no goroutine; not for concurrent use.
package kv
