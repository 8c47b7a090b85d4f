// Package secrets makes random secrets, and the hash and hint that are kept of them.
//
// A secret is random text of the letters 0-9A-Za-z, often behind a prefix that names
// its kind, so that scanners find it where it should not be. Its hash is a plain
// sha256: the secrets here hold at least 128 random bits, so that a slow hash would
// protect nothing.
package secrets
