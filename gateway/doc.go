// Package gateway is the OpenAI-compatible HTTP surface: /v1/chat/completions and
// /v1/completions, whole and streamed, /v1/embeddings and /v1/models; and vLLM's
// /tokenize and /detokenize.
//
// A request is read once, strictly (package-wide rule: what is authorised is
// what runs): keys given twice or in another case, numbers out of bounds and
// wrong types are answered with an OpenAI-shaped 400 that names field, value
// and bound; fields nobody knows are ignored, known fields that would change
// the answer and are not served are refused. The conversation is rendered by the
// model's own template and tokenised here, once; text that users sent never
// becomes a control token. Every prompt and choice is a sequence: one
// [wire.GenerateRequest], one [Stream] from the [Router]. A client that goes
// away cancels its sequences.
//
// The package declares what it needs of its surroundings ([Authenticator],
// [Catalog], [Router], [Limiter], [Auditor]) and knows nothing of raft, agents
// or QUIC. All failures that clients see are [*Error] values.
package gateway
