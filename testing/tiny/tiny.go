// Package tiny is a model small enough to commit: a Llama of 279,104 weights with a
// byte-level BPE vocabulary of 512 and a chat template, trained by train.py beside it
// to know a few answers by heart (lessons.py), so that one wrong token shows. It
// exists as a Hugging Face directory (bfloat16) and as a GGUF file (Q8_0).
//
// Greedy decoding gives exactly [Questions.Chats] and [Questions.Completions], with
// either set of weights. Its context is 1,024 tokens; "Count to one hundred." streams
// 345. Some answers hold characters of several tokens.
package tiny

import (
	_ "embed"
	"encoding/json"
	"path/filepath"
	"runtime"
)

// Facts of the model that tests may rely on.
const (
	Vocab   = 512
	Context = 1024 // tokens
	// CountPrompt has the longest answer.
	CountPrompt = "Count to one hundred."
	// Unknown is the answer to what the model was not taught.
	Unknown = "I do not know that."
)

// Message of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Chat is a conversation that ends with the user, and the answer to it.
type Chat struct {
	Messages []Message `json:"messages"`
	Answer   string    `json:"answer"`
}

// Completion is a bare prompt, and what greedy decoding adds up to its end.
type Completion struct {
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
}

// Questions are everything the model answers exactly at temperature 0. The first
// chats are single questions, later ones conversations.
type Questions struct {
	Chats       []Chat       `json:"chats"`
	Completions []Completion `json:"completions"`
}

//go:embed questions.json
var questions []byte

// Ask lists the questions.
func Ask() Questions {
	var q Questions
	if err := json.Unmarshal(questions, &q); err != nil {
		panic(err) // the file is part of the package
	}
	return q
}

// Answer is the answer to a single question that is among the chats.
func Answer(question string) (string, bool) {
	for _, c := range Ask().Chats {
		if len(c.Messages) == 1 && c.Messages[0].Content == question {
			return c.Answer, true
		}
	}
	return "", false
}

// Dir is the Hugging Face directory.
func Dir() string { return filepath.Join(here(), "model") }

// GGUF is the GGUF file.
func GGUF() string { return filepath.Join(here(), "tiny.gguf") }

func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}
