package wire

// Capability counts what this build understands. A node works with peers one minor
// release older or newer; both sides use the smaller number.
//
//	1  2026-11-23  first version
//	2  2026-11-25  prompt logprobs and pooling in GenerateRequest, engine_ended in Error,
//	               rate and phase of progress in InstanceStatus
const Capability = 2
