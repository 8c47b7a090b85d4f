// Package weights reads model files: GGUF (versions 2 and 3, whole or split into
// parts) and safetensors (one file, or several with an index). It opens them, checks
// every header field before use, lists the tensors, maps their bytes and turns them
// into float32.
//
// Its nouns: a [File] is one model's tensors, whatever number of files they lie
// in; an [Info] says what one tensor is and where; a [Tensor] is an Info with a
// view of its bytes; a [FormatError] says what in a file breaks its format.
//
// Opening reads headers only, through ordinary reads: no weight is touched and
// nothing is mapped until the first call of [File.Tensor], so that placement and
// gateways open models of any size at the price of their header. Views stay valid
// until [File.Close]. A mapped file must not shrink while it is open: the kernel
// answers reads past its end with SIGBUS, so keep model files immutable.
//
// Files are taken as hostile: sizes are compared in 64 bits before anything is
// allocated, no header costs more than four times its bytes (beside half a megabyte),
// a name that comes twice is refused rather than chosen from, and formats that can run
// code are not opened at all ([ErrPickle]).
//
// Element types with a name here but without a decoder (IQ4_XS, I64, ...) are
// listed; reading them is refused with [ErrType].
package weights
