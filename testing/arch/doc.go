// Package arch holds the house to its plan: which package may import which, that
// every package says what it is for, and that pure cores have no clock, network, file
// or goroutine inside. docs/ARCHITECTURE.md draws what these tests check.
package arch
