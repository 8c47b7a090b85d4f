// Package ref runs a Plan in plain Go: slow, and obviously right. It is the oracle
// that engine/cpu and engine/gpu are measured against, and a backend in its own
// right (engine.Backend) that an engine can serve a small model with.
//
// Every weight is decoded to float32 at load; activations and the KV cache are
// float32; every sum is accumulated in float64 in one fixed order. A row's bits
// therefore depend on nothing but the weights, its own tokens and its KV.
//
// Its nouns: an [Engine] owns weights, page pool and slots; a job is one submitted
// step; a pass is a job being run, operation by operation, one to one with the Plan;
// a sequence is what lives in a slot from OpenSlot to its close.
//
// The submitter does all bookkeeping (lengths, page tables) and checks every step
// before it takes effect; one goroutine, started by Finalise, runs jobs in order and
// alone touches the pool and the activations.
//
// Not honoured, and refused by name: mixtures of experts, pooling and classifying
// heads, layer norms, position and type embeddings, bidirectional attention,
// adapters, drafts, copies to and from the host, synthetic weights.
//
// A row is not sampled when its logits hold a NaN or +Inf or the state of one of its
// tokens is not finite; later rows of its slot report NaN too, since a RowContinue that
// is already on its way has no token to continue from.
//
// Prompt logprobs and pooling run the plan's tail, its end over sampling rows, again
// over the tokens that are asked for, as many at a time as its buffers hold.
package ref
