package words

import (
	"fmt"
	"strings"
)

// Count says how many of a thing there are: "1 file", "2 files". Of a noun of several
// words the last one changes: "3 KV heads".
func Count[N int | int64 | uint32 | uint64](n N, noun string) string {
	return fmt.Sprintf("%d %s", n, Form(n, noun))
}

// Form is the noun that goes with a number.
func Form[N int | int64 | uint32 | uint64](n N, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "y"):
		return strings.TrimSuffix(noun, "y") + "ies"
	}
	return noun + "s"
}
