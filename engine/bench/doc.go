// Package bench measures an engine through the path that requests take: what is submitted
// at once, how fast tokens come, and what share that is of what memory allows.
//
// A [Workload] is a list of prompt and answer lengths. A [Run] is what one pass over it
// gave; a [Report] is several runs with the spread between them and all that a figure must
// carry: device, precision, shape. Prompts are token ids that mean nothing and the prefix
// cache is off, so that every token is computed.
package bench
