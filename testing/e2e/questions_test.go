package e2e

import "github.com/nanofleet/nanofleet/testing/tiny"

// question is what the tiny model answers exactly at temperature 0.
type question struct{ Question, Answer string }

// questions are the tiny model's single questions.
func questions() (list []question) {
	for _, c := range tiny.Ask().Chats {
		if len(c.Messages) == 1 && len(c.Answer) < 200 {
			list = append(list, question{c.Messages[0].Content, c.Answer})
		}
	}
	return list
}
