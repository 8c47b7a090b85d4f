package tokenizer

// round remembers what begins at the places of a stretch of text that says the same
// again and again. The longest token is long there, and the next place asks for one
// that is as long.
type round struct {
	from, end int // of the stretch
	period    int // in symbols
	ways      [maxPeriod]way
}

// way is the longest token at one place of a period, and how many symbols were looked
// at to find it; none so far for 0.
type way struct {
	token int32
	steps int
}

const (
	longWay   = 8 // symbols: shorter ways are gone again
	maxPeriod = 8
)

// find is the longest token at a place where what decides on it lies in the stretch.
func (r *round) find(place int) (token int32, ok bool) {
	if place >= r.end || place < r.from {
		return None, false
	}
	w := &r.ways[(place-r.from)%r.period]
	return w.token, w.steps > 0 && place+w.steps <= r.end
}

// learn takes what was found at a place; work is how many symbols it looked at.
func (r *round) learn(symbols []int32, place, steps int, token int32) (work int) {
	if place >= r.end {
		if work = r.measure(symbols, place, steps); work == 0 {
			return 0
		}
	}
	if end := place + steps; place >= r.from && end <= r.end && end < len(symbols) {
		r.ways[(place-r.from)%r.period] = way{token, steps}
	}
	return work
}

// measure begins a stretch where the symbols of a way repeat themselves, and goes on to
// its end.
func (r *round) measure(symbols []int32, place, steps int) (work int) {
	for period := 1; period <= maxPeriod; period++ {
		end := place + period
		for end < len(symbols) && symbols[end] == symbols[end-period] {
			end++
		}
		work += end - place
		if end-place > max(2*period, steps) {
			*r = round{from: place, end: end, period: period}
			return work
		}
	}
	return 0
}
