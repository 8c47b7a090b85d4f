package ref

import (
	"sync"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// pass is a job being run.
type pass struct {
	*Engine
	job     *job
	tokens  []place // of the step, by token row
	sampled []int   // token rows that the operations over sampling rows take
	samples []int   // token row of each row that samples: its last token
	rowOf   []int   // job row of each sampling row
	logits  []float32
	late    bool // a sampling row waits for its mask
}

// place is where one token of the step belongs.
type place struct {
	row      *jobRow
	position uint32
}

// newPass lays the step's tokens out and writes their ids to the pages.
func newPass(e *Engine, j *job) *pass {
	p := &pass{Engine: e, job: j}
	for i := range j.rows {
		row := &j.rows[i]
		row.result = abi.ResultRow{Slot: row.Slot}
		if row.Flags&abi.RowContinue != 0 {
			j.tokens[row.first] = row.seq.last
		}
		for t := range row.Tokens {
			position := row.start + t
			p.tokens = append(p.tokens, place{row, position})
			*e.pool.token(row.page(position)) = j.tokens[row.first+int(t)]
		}
		if row.Flags&abi.RowSample != 0 {
			p.samples = append(p.samples, len(p.tokens)-1)
			p.rowOf = append(p.rowOf, i)
			p.late = p.late || row.Flags&abi.RowLateMask != 0
		}
	}
	return p
}

// page is the page of a position and the place within it.
func (r *jobRow) page(position uint32) (uint32, int) {
	return r.pages[position/abi.PageLen], int(position % abi.PageLen)
}

// op runs one operation over all rows of the step.
func (p *pass) op(op *boundOp) {
	switch op.Kind {
	case abi.OpEmbed:
		p.embed(op)
	case abi.OpNorm:
		p.norm(op)
	case abi.OpQKV:
		p.qkv(op)
	case abi.OpRopeStore:
		p.each(len(p.tokens), func(t int) { p.ropeStore(op, t) })
	case abi.OpAttention:
		p.each(len(p.tokens), func(t int) { p.attention(op, t) })
	case abi.OpOut, abi.OpDown:
		p.project(op)
	case abi.OpGateUp:
		p.gateUp(op)
	case abi.OpHead:
		p.head(op)
	case abi.OpSample:
		p.logits = p.buffers[op.In]
	}
}

// row is one row of a buffer.
func (p *pass) row(id uint32, i int) []float32 {
	buffer, width := p.buffers[id], p.width(id)
	return buffer[i*width : (i+1)*width]
}

func (p *pass) width(id uint32) int {
	for _, b := range p.plan.Buffers {
		if b.ID == id {
			return int(b.Width)
		}
	}
	return 0
}

// each calls do for 0..n-1, spread over the threads. What do computes must not
// depend on the spread.
func (e *Engine) each(n int, do func(i int)) {
	workers := min(e.threads, n)
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				do(i)
			}
		})
	}
	wg.Wait()
}
