package capi

/*
#include <stdlib.h>
*/
import "C"

import "unsafe"

// grown is a C array of at least n elements; s is it already or is freed. A new one
// is not cleared.
func grown[T any](s []T, n int) []T {
	if len(s) >= n {
		return s
	}
	release(s)
	n = max(n, 2*len(s))
	var zero T
	p := C.malloc(C.size_t(n) * C.size_t(unsafe.Sizeof(zero)))
	return unsafe.Slice((*T)(p), n)
}

// filled is a C array that begins with from.
func filled[T any](s, from []T) []T {
	s = grown(s, len(from))
	copy(s, from)
	return s
}

// release frees what grown gave.
func release[T any](s []T) {
	C.free(unsafe.Pointer(unsafe.SliceData(s)))
}
