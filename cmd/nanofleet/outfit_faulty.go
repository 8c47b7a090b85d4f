//go:build faulty

package main

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/nanofleet/nanofleet/engine"
	"github.com/nanofleet/nanofleet/engine/abi"
)

// Four of these tokens in a row meet a fault. Builds with the tag `faulty` are for
// testing/e2e alone.
const (
	deadlyToken = 17 // the process is killed, as by a fault of the device
	nanToken    = 18 // the row that holds them gives no number
	hangToken   = 19 // the step never ends
	faultRow    = 4
)

// faulty is a backend with faults. NANOFLEET_TEST_LOAD_RATE is how many bytes it takes
// in a second, NANOFLEET_TEST_STEP_MS how long a step takes at least.
type faulty struct {
	engine.Backend
	rate float64
	step time.Duration
	nan  map[uint64]map[int]bool // rows, by step
	hung bool
}

func outfit[B engine.Backend](b B, err error) (engine.Backend, error) {
	if err != nil {
		return nil, err
	}
	return &faulty{
		Backend: b, nan: map[uint64]map[int]bool{},
		rate: setting("NANOFLEET_TEST_LOAD_RATE"),
		step: time.Duration(setting("NANOFLEET_TEST_STEP_MS") * float64(time.Millisecond)),
	}, nil
}

func setting(name string) float64 {
	v, err := strconv.ParseFloat(os.Getenv(name), 64)
	if err != nil {
		return 0
	}
	return v
}

// PutTensor takes its time.
func (f *faulty) PutTensor(t *abi.Tensor) error {
	if f.rate > 0 {
		time.Sleep(time.Duration(float64(len(t.Data)) / f.rate * float64(time.Second)))
	}
	return f.Backend.PutTensor(t)
}

// Submit meets the fault of each row.
func (f *faulty) Submit(s *abi.Step) error {
	at := 0
	for i, r := range s.Rows {
		tokens := s.Tokens[at : at+r.Explicit()]
		at += r.Explicit()
		if repeats(tokens, deadlyToken) {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		f.hung = f.hung || repeats(tokens, hangToken)
		if repeats(tokens, nanToken) {
			if f.nan[s.Seq] == nil {
				f.nan[s.Seq] = map[int]bool{}
			}
			f.nan[s.Seq][i] = true
		}
	}
	return f.Backend.Submit(s)
}

// Wait gives no number for the rows that met their fault.
func (f *faulty) Wait(seq uint64, r *abi.Result, timeout time.Duration) error {
	if f.hung {
		time.Sleep(timeout)
		return abi.Errorf(abi.Timeout, "wait", "step %d still runs", seq)
	}
	if err := f.Backend.Wait(seq, r, timeout); err != nil {
		return err
	}
	time.Sleep(f.step)
	for i := range f.nan[seq] {
		r.Rows[i].Status, r.Rows[i].Accepted = abi.RowNaN, 0
	}
	delete(f.nan, seq)
	return nil
}

// repeats tells whether a token comes often enough in a row.
func repeats(tokens []int32, token int32) bool {
	n := 0
	for _, t := range tokens {
		if n++; t != token {
			n = 0
		}
		if n == faultRow {
			return true
		}
	}
	return false
}
