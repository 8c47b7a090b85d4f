package golden

import (
	"time"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// Backend is what a Driver needs of engine.Backend.
type Backend interface {
	OpenSlot(*abi.Slot) error
	CloseSlot(slot uint32) error
	Submit(*abi.Step) error
	Wait(seq uint64, r *abi.Result, timeout time.Duration) error
}

// Driver runs one sequence at a time on a finalised backend, in slot 0 with pages
// from 0 on. No other steps may be submitted beside it.
type Driver struct {
	Backend Backend
	Seq     uint64 // of the last step submitted
	result  abi.Result
}

// Greedy feeds prompt in steps of at most chunk tokens and decodes up to n tokens,
// the first of ends included. It gives the tokens and the logits that chose the first.
func (d *Driver) Greedy(prompt []int32, n, chunk int, ends []int32) (tokens []int32, logits []float32, err error) {
	err = d.open(len(prompt), 0, func() error {
		for at := 0; at < len(prompt); at += chunk {
			end := min(at+chunk, len(prompt))
			row := abi.Row{Tokens: uint32(end - at)}
			if end == len(prompt) {
				row.Flags = abi.RowSample | abi.RowLogits
			}
			if err := d.step(at, row, prompt[at:end]); err != nil {
				return err
			}
		}
		logits = append(logits, d.result.Aux...)
		for {
			token := d.result.Rows[0].Tokens[0]
			tokens = append(tokens, token)
			if len(tokens) == n || contains(ends, token) {
				return nil
			}
			row := abi.Row{Tokens: 1, Flags: abi.RowSample | abi.RowContinue}
			if err := d.step(len(prompt)+len(tokens)-1, row, nil); err != nil {
				return err
			}
		}
	})
	return tokens, logits, err
}

// Logits feeds the prompt token by token and gives the logits after each.
func (d *Driver) Logits(prompt []int32) (logits [][]float32, err error) {
	err = d.open(len(prompt), 0, func() error {
		for at := range prompt {
			row := abi.Row{Tokens: 1, Flags: abi.RowSample | abi.RowLogits}
			if err := d.step(at, row, prompt[at:at+1]); err != nil {
				return err
			}
			logits = append(logits, append([]float32(nil), d.result.Aux...))
		}
		return nil
	})
	return logits, err
}

// open runs do with slot 0 open; top counts a prompt's alternatives.
func (d *Driver) open(prompt, top int, do func() error) error {
	slot := &abi.Slot{PromptLen: uint32(prompt), Sampling: abi.Sampling{TopP: 1, TypicalP: 1, Repetition: 1, PromptTop: uint32(top)}}
	if err := d.Backend.OpenSlot(slot); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return d.Backend.CloseSlot(0)
}

// step runs one row at position at, giving the slot the pages it enters.
func (d *Driver) step(at int, row abi.Row, tokens []int32) error {
	d.Seq++
	s := &abi.Step{Seq: d.Seq, Rows: []abi.Row{row}, Tokens: tokens}
	for position := at; position < at+int(row.Tokens); position++ {
		if position%abi.PageLen == 0 {
			page := uint32(position / abi.PageLen)
			s.Pages = append(s.Pages, abi.PageDelta{Index: page, Page: page})
		}
	}
	if err := d.Backend.Submit(s); err != nil {
		return err
	}
	return d.Backend.Wait(d.Seq, &d.result, 10*time.Minute)
}

func contains(ids []int32, id int32) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}
