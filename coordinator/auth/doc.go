// Package auth tells whose an API key is. A key is 43 random characters behind a
// prefix; the fleet stores its SHA-256 alone. A check costs one hash and one index
// look-up on an immutable snapshot: no cache that could confuse two keys or outlive a
// revocation.
package auth
