// Package local runs an engine inside the process that asks for it, without a fleet: for
// benchmarks and evaluation. An [Instance] is one model on one backend; its weights come
// from files or, of a shape alone, are made at random by the backend.
package local
