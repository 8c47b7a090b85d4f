// Package chat turns a conversation into the text a model was trained on, by
// the model's own chat template.
//
// A [Template] is compiled once per model version. [Input] is one conversation:
// messages and tools as ordered JSON ([ParseOrderedJSON]), because the order of
// keys is part of the prompt. The result is text or, for a tokenizer,
// [Segment]s: template text is trusted and may contain control tokens, text
// that came with the conversation is not, so that no user can write an
// <|im_end|> the model believes.
//
// The output equals transformers' apply_chat_template byte for byte, its
// treatment of reasoning fields and of continued messages included. What a
// template can do, and the bounds on it, are told by package jinja.
package chat
