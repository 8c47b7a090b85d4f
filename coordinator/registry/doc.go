// Package registry takes in model files, makes versions of them and knows what the
// versions need: it keeps their bytes in a content-addressed store that agents pull
// from, reads their metadata (never their weights), and gives the exact footprint of
// a replica on a device.
package registry
