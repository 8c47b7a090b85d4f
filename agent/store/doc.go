// Package store is an agent's cache of models. [Store.Pull] brings a version's files
// from coordinators or other agents, chunk by chunk and several at once, resumes what
// a kill cut, verifies the bytes and lays them out under the version's id.
//
// A version stays until its room is needed: [Store.Evict] removes those not used for
// the longest time, and never one that is pinned or being pulled. A pull that meets a
// full disk evicts what it needs by itself.
//
//	DIR/blobs/      the bytes, by digest; see package blob
//	DIR/versions/   a directory for each version, whose files are links to blobs
package store
