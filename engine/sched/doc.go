// Package sched decides what an engine computes next.
//
// There is no prefill and no decode: each sequence has tokens to catch up on. A
// [Scheduler] fills a step with the running sequences first, then admits waiting ones,
// under one budget of tokens and rows; a long prompt takes several steps. When pages
// run out, the sequence that matters least gives up its slot and waits; what it had
// computed stays findable as a prefix, and it goes on with the same tokens.
//
// Its nouns: a [Sequence] is one request's tokens and place; a [Queue] orders those
// that wait, by priority, then by arrival; a [Batch] is one planned step with the
// sequences of its rows. Plan and Complete alternate, with up to abi.Queue batches
// between them: a planned sequence's next token may be unknown yet, and its next row
// then continues from the one that the backend keeps.
//
// The package is a pure core: no clock, no goroutine; not for concurrent use.
package sched
