// Package atomicfile replaces files so that a reader, or the next start after a
// power cut, sees the old bytes or the new ones and nothing between.
//
// The caveat is the file system's: a rename is only as atomic as it is, and the
// directory must be on a disk that honours fsync.
package atomicfile
