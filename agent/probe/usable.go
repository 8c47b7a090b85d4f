package probe

import "fmt"

// Usable is what a device of a kind offers to engines of all its memory, in bytes: the
// figure that an agent announces and placement counts with.
func Usable(kind string, total uint64) (uint64, error) {
	switch kind {
	case "cpu":
		return share(total), nil
	case "cuda":
		return lessReserve(total), nil
	}
	return 0, fmt.Errorf("probe: kind %q: want cpu or cuda", kind)
}
