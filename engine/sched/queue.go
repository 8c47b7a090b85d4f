package sched

import "container/heap"

// Queue orders sequences that wait: lower priority numbers first, then earlier arrival.
type Queue struct{ heap seqHeap }

// Len is how many wait.
func (q *Queue) Len() int { return len(q.heap) }

// Push adds a sequence.
func (q *Queue) Push(s *Sequence) { heap.Push(&q.heap, s) }

// First is the next sequence, nil when none waits.
func (q *Queue) First() *Sequence {
	if len(q.heap) == 0 {
		return nil
	}
	return q.heap[0]
}

// Pop takes the next sequence.
func (q *Queue) Pop() *Sequence { return heap.Pop(&q.heap).(*Sequence) }

// Remove takes out a sequence wherever it stands.
func (q *Queue) Remove(s *Sequence) bool {
	for i, other := range q.heap {
		if other == s {
			heap.Remove(&q.heap, i)
			return true
		}
	}
	return false
}

// All gives the waiting sequences in no order.
func (q *Queue) All() []*Sequence { return q.heap }

// before is the order of service.
func before(a, b *Sequence) bool {
	if a.Priority != b.Priority {
		return a.Priority < b.Priority
	}
	return a.arrival < b.arrival
}

type seqHeap []*Sequence

func (h seqHeap) Len() int           { return len(h) }
func (h seqHeap) Less(i, j int) bool { return before(h[i], h[j]) }
func (h seqHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *seqHeap) Push(x any)        { *h = append(*h, x.(*Sequence)) }
func (h *seqHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return s
}
