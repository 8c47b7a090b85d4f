// Package eval measures how well a model foretells a text: its perplexity, by windows.
//
// A [Scorer] tells the logprob of every token of a window but the first; engines in this
// process and deployments behind an API are ones. Windows overlap by half, and a token is
// scored in the first window that holds it: each token but those of the first half window
// has at least half a window before it.
package eval
