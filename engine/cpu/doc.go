// Package cpu runs a Plan on the processor: C behind the step ABI, linked in.
//
// Weights keep their precision and about their size, whatever of GGUF's types each
// matrix has; they are repacked into panels of eight rows when they are put. Activations
// are float32, quantised to int16 in blocks of 32 for integer products with quantised
// weights. K and V are float16, or float32 when the limits
// say so. The kernels are compiled for plain x86-64 or any other processor, for AVX2
// and for AVX-512 with VNNI, and chosen when an engine is created.
//
// A row's bits never depend on the batch, chunking, threads or page numbers: every
// output element is computed by one thread with one order of operations, whatever
// else is in the step.
//
// Not honoured, and refused by name: what engine/ref does not honour, head_dim above
// 256, more than 64 query heads to a key-value head, matrices of one row.
package cpu
