// Package blob keeps large files by their SHA-256: written in chunks, resumed after a
// kill, verified whole before they are used. Coordinators keep added models in a
// [Store], agents the models they serve.
//
// A blob begins with [Store.Begin], which reserves its bytes on the disk. Each chunk
// is checked against its own digest as it comes. It counts once its data was synced
// and its bit in the index committed, which happens in batches: a kill costs the last
// seconds of a transfer, never its rest, and never lets wrong bytes in. [Writer.Commit]
// reads the whole file, and only what has the right digest is renamed into place.
//
//	DIR/index.db          what is here; docs/formats/buckets.md draws it
//	DIR/blobs/ab/cd/HEX   verified blobs
//	DIR/partial/HEX       blobs on their way
//	DIR/quarantine/HEX    blobs whose bytes rotted, kept for whoever wants to know why
//
// The files can rebuild the index: [Open] drops records whose file is gone, verifies
// and adopts files without a record, and starts a new index when the old one is
// damaged. [Store.Repaired] tells what it did. One process at a time may open a
// directory.
package blob
