package engine

import (
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Request is one sequence to continue: token ids in, tokens and text out. Its bounds
// are checked by Submit; a wrong one is an *InvalidError that names field, value and
// bound.
type Request struct {
	ID          string
	Prompt      []int32
	MaxTokens   int // most tokens to generate; 0 = up to the context's end
	MinTokens   int
	Sampling    abi.Sampling
	Biases      []abi.Bias
	Seed        uint64
	Choice      uint32
	Stop        []string // at most 16 of 1 to 256 bytes
	StopTokens  []int32
	IgnoreEOS   bool
	IncludeStop bool // leave the stop string or token's text at the text's end
	KeepSpecial bool // leave special tokens in the text
	Priority    int32
	Deadline    time.Time // zero = none
	Salt        []byte    // separates prefix caches
	// Resumed is how many tokens at the prompt's end were generated before. MinTokens
	// counts them, MaxTokens does not. Logprobs of the prompt came before the first of
	// them and do not come again.
	Resumed int
	// PromptLogprobs asks how likely each token of the prompt was, with so many
	// alternatives; nil = not.
	PromptLogprobs *int
	Pool           Pooling // a vector instead of tokens
}

// Pooling says how the states of a prompt become one vector.
type Pooling int

// Ways to pool.
const (
	PoolNone Pooling = iota
	PoolLast         // that of the last token
	PoolMean         // its last bits depend on the steps that a prompt went in by
)

// pooled is what rows report.
var pooled = map[Pooling]abi.RowFlag{PoolLast: abi.RowPool, PoolMean: abi.RowPool | abi.RowPoolSum}

// Accepted is the first event of a sequence: it was admitted to a slot.
type Accepted struct {
	PromptTokens int
	CachedTokens int // of those, found in the prefix cache
}

// Tokens are what one step gave. Text holds whole characters and no part of a stop
// string; it may be empty while IDs are not, since text can be held back.
type Tokens struct {
	IDs      []int32
	Text     string
	Logprobs []TokenLogprob // one per id, when asked for
}

// PromptLogprobs are those of the prompt's tokens from the second one on, or some of
// them; the others come in further events, in order.
type PromptLogprobs struct{ Tokens []TokenLogprob }

// Pooled is the vector of the whole prompt, not normalised.
type Pooled struct{ Values []float32 }

// TokenLogprob is a token's natural logarithm of its raw probability, with the
// likeliest alternatives, best first.
type TokenLogprob struct {
	ID      int32
	Logprob float32
	Rank    uint32 // of a prompt's token: 1 = no token was likelier
	Top     []TokenLogprob
}

// FinishReason says why a sequence ended well.
type FinishReason string

// Reasons.
const (
	FinishStop      FinishReason = "stop"      // EOS, stop string, stop token; or pooled
	FinishLength    FinishReason = "length"    // MaxTokens or the context's end
	FinishCancelled FinishReason = "cancelled" // by the requester or its deadline
)

// Finished is the last event of a sequence that did not fail.
type Finished struct {
	Reason       FinishReason
	Prompt       int // tokens
	Cached       int
	Generated    int
	StopString   string // the one that matched
	StopToken    int32  // the one that matched, when HasStopToken
	HasStopToken bool
	Queue        time.Duration // waiting for a slot
	Prefill      time.Duration // from then to the first token
	Decode       time.Duration // from then to the end
}

// Event is one of Accepted, PromptLogprobs, Pooled, Tokens, Finished.
type Event interface{ event() }

func (Accepted) event()       {}
func (PromptLogprobs) event() {}
func (Pooled) event()         {}
func (Tokens) event()         {}
func (Finished) event()       {}
