// Package tokenizer turns text into token ids and back: byte-level BPE, the class of
// GPT-2, Llama 3, Qwen 2 and 3, SmolLM2 and Mistral's Tekken, and SentencePiece BPE with
// byte fallback, the class of Llama 2, Mistral and Gemma.
//
// A Tokenizer is read once, from a Hugging Face tokenizer.json (FromJSON), from GGUF
// metadata (FromGGUF) or from a SentencePiece model (FromSentencePiece), and is
// immutable afterwards. Encode runs five stages:
//
//	text ─► added tokens ─► normaliser ─► added tokens ─► pre-tokeniser ─► merges ─► ids
//	        (as written)                  (normalised)    (pieces)         (BPE)
//
// Added tokens are matched as whole strings before anything else. Those marked
// special are control tokens (turn markers, end of text): they are recognised in a
// template's text only, never in a user's, so that nobody can forge a turn.
// EncodeSegments keeps the two apart while text is merged across their seams.
//
// Pre-tokenisers are written by hand, linear in the text, for the regular
// expressions that the supported models use. Finding the tokens of a piece of any
// length is linear as well: they are looked for, not merged (see path). Only a
// vocabulary that no training would make is merged, in n log n steps. A file that asks
// for anything else is refused with ErrUnsupported and the feature's name: ids that are
// almost right are worse than none.
//
// Ids are those of Hugging Face's tokenizers library (0.23), including the Unicode
// versions it was built with, and for GGUF's llama model and tokenizer.model those of
// the sentencepiece library (0.2). Six differences are deliberate: invalid UTF-8 in
// the input is encoded byte by byte instead of being impossible; an added token
// decodes to its own text whatever characters it holds; byte tokens that make no
// character decode like any other invalid bytes; the normaliser sees trusted and
// untrusted text apart; a token stands in the list of added tokens once; truncation
// and padding settings are ignored, because limits are the caller's to check.
//
// Caveats: a vocabulary may lack bytes (SmolLM2's has no token for six control
// characters and for the lead bytes of planes 4 to 11); as in the reference these
// bytes vanish when encoded. NFC rewrites text, so decoding gives the normalised form.
package tokenizer
