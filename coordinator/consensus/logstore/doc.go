// Package logstore keeps a raft group's log and its stable values in one bbolt file.
//
// A [Store] is a raft.LogStore and raft.StableStore. What StoreLogs or Set was given
// is on the disk when it returns: one bbolt transaction for the whole batch. Every
// record carries a CRC-32C over itself and its key, so that a flipped bit is an error
// that names the index, and never a changed command. Indexes have no gaps.
//
// The caveats are bbolt's: one process at a time, and the file never shrinks.
// docs/formats/buckets.md draws the buckets and the records.
package logstore
