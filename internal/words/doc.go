// Package words says numbers of things as people do.
package words
