package main

import (
	"fmt"
	"slices"
	"strings"
)

// oneOf refuses a name that is none of those there are, and suggests the nearest.
func oneOf(kind, name string, names []string, next string) error {
	if slices.Contains(names, name) {
		return nil
	}
	return usagef("there is no %s %q%s; %s", kind, name, perhaps(name, names), next)
}

// perhaps suggests the name that was probably meant, or lists the few there are.
func perhaps(name string, names []string) string {
	const few = 8
	switch best := nearest(name, names); {
	case best != "":
		return fmt.Sprintf(", perhaps you mean %q", best)
	case len(names) > 0 && len(names) <= few:
		return " (there are: " + strings.Join(names, ", ") + ")"
	}
	return ""
}

// nearest is the name that is little different, or begins in the same way; "" with none.
func nearest(name string, names []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	for _, n := range names {
		if best == "" && strings.HasPrefix(strings.ToLower(n), strings.ToLower(name)) {
			best = n
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, changed or swapped with
// their neighbour to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range x {
		two, one, now := rows[0], rows[1], rows[2]
		now[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			now[j+1] = min(one[j+1]+1, now[j]+1, one[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				now[j+1] = min(now[j+1], two[j-1]+1)
			}
		}
		rows[0], rows[1], rows[2] = one, now, two
	}
	return rows[1][len(y)]
}
