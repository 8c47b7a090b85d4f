package guards

// guard is a piece of code that keeps one edge dull.
type guard struct {
	edge   string // number and name in docs/sharp-edges.md
	file   string // of the repository
	code   string // what to take out: it occurs once in the file
	broken string // what stands there instead
	pkg    string // of the test
	test   string // that fails then
}
