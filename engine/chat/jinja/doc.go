// Package jinja runs the part of the Jinja template language that chat
// templates use, with the meaning Python gives it.
//
// A [Template] is parsed once and rendered many times, from any number of
// goroutines. A [Value] is one Python-like value; a [Dict] keeps the order of its keys,
// because the order of a tool's JSON is part of the prompt. A [String] knows
// which of its bytes came from outside the template: literals are trusted,
// everything that enters with the variables is not, and the mark survives
// filters, slices, joins and macros. [Limits] bound each rendering.
//
// The dialect is the sandbox of Hugging Face transformers: trim_blocks and
// lstrip_blocks are on, loop controls and the generation tag exist, tojson is
// json.dumps with ensure_ascii off, lists and dicts cannot be changed, and
// nothing reaches a file, a clock or the host program. Templates cannot
// include, import or extend one another, loops cannot be recursive.
//
// Caveats: upper, lower and title use Unicode's one-to-one case mapping (ß
// stays ß); an operation that rewrites letters marks its whole result as
// untrusted when any of its input was; generators (map, select, ...) are
// computed at once rather than lazily.
package jinja
