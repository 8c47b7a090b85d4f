package abi

// Sampling parameters of a slot; engine/sample documents the semantics and checks
// the bounds.
type Sampling struct {
	Temperature         float32 // 0 = greedy
	TopP                float32 // (0,1]; 1 = off
	MinP                float32 // [0,1]; 0 = off
	TypicalP            float32 // (0,1]; 1 = off
	TopK                uint32  // 0 = off
	Presence, Frequency float32 // over sampled tokens; 0 = off
	Repetition          float32 // over prompt and sampled tokens; 1 = off
	Logprobs            bool    // report the sampled token's logprob
	TopLogprobs         uint32  // alternatives reported, at most MaxTop
	PromptTop           uint32  // alternatives that RowPromptLogprobs reports, at most MaxTop
}

// Bias adds to one token's logit.
type Bias struct {
	Token int32
	Bias  float32
}

// Slot opens one sequence. Start positions are already present in its pages (a
// prefix hit); the pages arrive with the deltas of its first step.
type Slot struct {
	Slot        uint32
	Start       uint32
	PromptLen   uint32 // positions before the first sampled one
	MinPosition uint32 // below this position no EOS token is sampled
	EOS         []int32
	Biases      []Bias
	Sampling    Sampling
	Seed        uint64 // Philox key, with Choice; counter: position, draw
	Choice      uint32
	Adapter     uint32
}

// RowFlag says what a row asks for.
type RowFlag uint32

// Row flags.
const (
	RowSample         RowFlag = 1  // sample after the row's last token
	RowLateMask       RowFlag = 2  // its sampling waits for Sample
	RowPromptLogprobs RowFlag = 4  // report how likely each of its tokens made the one after it
	RowLogits         RowFlag = 8  // copy the sampling logits to Result.Aux
	RowPool           RowFlag = 16 // copy what the head would read at the row's last token to Result.Aux; it does not sample
	RowContinue       RowFlag = 32 // first token = the slot's last sampled one; not in Step.Tokens
	RowPoolSum        RowFlag = 64 // with RowPool: the sum over all tokens of the row instead
)

// Row is the tokens of one sequence in one step, at positions from the slot's
// length on: the backend owns every slot's length.
type Row struct {
	Slot   uint32
	Tokens uint32 // count, at least 1; includes the one that RowContinue stands for
	Draft  uint32 // the last Draft tokens are to verify
	Flags  RowFlag
	MaskID uint32
	Next   int32 // RowPromptLogprobs: the token after the row's last; -1 = none
}

// Explicit is how many of the row's tokens are written in Step.Tokens.
func (r Row) Explicit() int {
	if r.Flags&RowContinue != 0 {
		return int(r.Tokens) - 1
	}
	return int(r.Tokens)
}

// PageDelta gives a slot its Index-th page.
type PageDelta struct {
	Slot, Index, Page, KVGroup uint32
}

// CopyKind is the direction of a PageCopy.
type CopyKind uint32

// Copy directions.
const (
	CopyD2D CopyKind = 0
	CopyD2H CopyKind = 1
	CopyH2D CopyKind = 2
)

// PageCopy copies a whole page: K, V and token ids.
type PageCopy struct {
	Kind              CopyKind
	From, To, KVGroup uint32
}

// Step is one forward pass. Order of effects: Closes, Copies, Pages, Rows.
type Step struct {
	Seq    uint64 // rises by one with each submit, from 1
	Rows   []Row
	Tokens []int32 // of all rows, one after another
	Pages  []PageDelta
	Copies []PageCopy
	Closes []uint32
}

// RowMask gives a late row its mask.
type RowMask struct {
	Row, MaskID uint32
}

// RowStatus of a result row.
type RowStatus uint32

// Row states.
const (
	RowOK RowStatus = 0
	// RowNaN: the logits held a NaN or +Inf, or no token is allowed, or (where the
	// backend looks) the state of one of the row's tokens was not finite. Nothing
	// was sampled.
	RowNaN RowStatus = 1
)

// ResultRow is what one row of a step gave. Fixed arrays keep results free of
// per-row allocation.
type ResultRow struct {
	Slot        uint32
	Status      RowStatus
	Accepted    uint32 // Tokens that count; 0 for a row that did not sample
	Top         uint32 // alternatives that count
	Tokens      [MaxAccept]int32
	Logprobs    [MaxAccept]float32 // natural log, raw: before penalties, bias and temperature
	TopTokens   [MaxTop]int32      // best first
	TopLogprobs [MaxTop]float32
}

// PromptLogprob is how likely one token of a prompt was after those before it.
type PromptLogprob struct {
	Logprob     float32 // natural log, raw
	Rank        uint32  // 1 = no token was likelier
	Top         uint32  // alternatives that count
	TopTokens   [MaxTop]int32
	TopLogprobs [MaxTop]float32
}

// Result is filled by Wait; its slices are reused from call to call. One row per
// step row, in order.
type Result struct {
	Seq       uint64
	Rows      []ResultRow
	Aux       []float32       // in row order: logits of RowLogits rows, vectors of RowPool rows
	Prompt    []PromptLogprob // of RowPromptLogprobs rows in row order: one per token that has a next one
	ComputeNS uint64
}
