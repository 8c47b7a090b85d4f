// Package sample holds the rules of choosing and of stopping: what sampling
// parameters mean and may be (params.go), the random numbers and the choice itself,
// which every backend must reproduce bit for bit, and where a text ends ([Stops]).
//
// The package is pure: it reads no clock and draws no randomness of its own.
package sample
