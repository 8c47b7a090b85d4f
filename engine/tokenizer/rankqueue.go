package tokenizer

// rankQueue gives out places by the rank of their merge and, within a rank, from left
// to right. One heap of all places would miss the cache at every step of a long
// piece. Here a heap holds the ranks that occur, and each rank has a list of its
// places; places mostly come in order, and those that do not go to a small heap.
type rankQueue struct {
	ranks   minHeap[uint32] // that have places
	of      []int32         // rank → number of its bucket plus one
	buckets []bucket
	used    []uint32 // ranks with a bucket
	entries []entry
	free    int32 // list of entries given back, as entry number plus one
	work    int   // steps inside heaps: the tests count them
}

// bucket is the places of one rank: a list in ascending order and a heap.
type bucket struct {
	first, last int32 // entry number plus one
	late        minHeap[int32]
	queued      bool
}

type entry struct{ at, next int32 }

func newRankQueue(ranks int) rankQueue { return rankQueue{of: make([]int32, ranks)} }

func (q *rankQueue) len() int {
	if len(q.ranks) == 0 {
		q.reset()
	}
	return len(q.ranks)
}

// reset forgets the buckets, whose memory stays.
func (q *rankQueue) reset() {
	for _, rank := range q.used {
		q.of[rank] = 0
	}
	q.used, q.entries, q.free = q.used[:0], q.entries[:0], 0
}

// bucket is that of rank, an empty one where it has none.
func (q *rankQueue) bucket(rank uint32) *bucket {
	if n := q.of[rank]; n != 0 {
		return &q.buckets[n-1]
	}
	if len(q.used) == len(q.buckets) {
		q.buckets = append(q.buckets, bucket{})
	}
	b := &q.buckets[len(q.used)]
	q.used = append(q.used, rank)
	q.of[rank] = int32(len(q.used))
	return b
}

func (q *rankQueue) push(rank uint32, at int32) {
	b := q.bucket(rank)
	if !b.queued {
		b.queued = true
		q.work += q.ranks.push(rank)
	}
	if b.first != 0 && at < q.entries[b.last-1].at {
		q.work += b.late.push(at)
		return
	}
	n := q.entry(at)
	if b.first == 0 {
		b.first = n
	} else {
		q.entries[b.last-1].next = n
	}
	b.last = n
}

// entry is a fresh entry's number plus one.
func (q *rankQueue) entry(at int32) int32 {
	n := q.free
	if n == 0 {
		q.entries = append(q.entries, entry{at: at})
		return int32(len(q.entries))
	}
	q.free = q.entries[n-1].next
	q.entries[n-1] = entry{at: at}
	return n
}

// pop takes the leftmost place of the lowest rank.
func (q *rankQueue) pop() (rank uint32, at int32) {
	rank = q.ranks[0]
	b := q.bucket(rank)
	if b.first == 0 || len(b.late) > 0 && b.late[0] < q.entries[b.first-1].at {
		var steps int
		at, steps = b.late.pop()
		q.work += steps
	} else {
		n := b.first
		e := &q.entries[n-1]
		at, b.first = e.at, e.next
		e.next, q.free = q.free, n
	}
	if b.first == 0 && len(b.late) == 0 {
		b.queued = false
		_, steps := q.ranks.pop()
		q.work += steps
	}
	return rank, at
}

// minHeap is a binary heap with its lowest value first. Its methods say how many
// steps they took.
type minHeap[T int32 | uint32] []T

func (h *minHeap[T]) push(v T) (steps int) {
	*h = append(*h, v)
	s := *h
	for i := len(s) - 1; i > 0; steps++ {
		up := (i - 1) / 2
		if s[up] <= s[i] {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
	return steps + 1
}

func (h *minHeap[T]) pop() (top T, steps int) {
	s := *h
	top = s[0]
	s[0] = s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	for i := 0; ; steps++ {
		down := 2*i + 1
		if down >= len(s) {
			break
		}
		if down+1 < len(s) && s[down+1] < s[down] {
			down++
		}
		if s[i] <= s[down] {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	return top, steps + 1
}
