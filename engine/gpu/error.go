package gpu

import (
	"fmt"
	"strings"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// AbsentError is returned when no library is at any of the paths: the normal state of
// a host without a GPU.
type AbsentError struct {
	Tried []string
}

// Error names the paths and says what to do.
func (e *AbsentError) Error() string {
	return fmt.Sprintf("%s is not there; tried %s; to use a GPU, put the library at one of these or name it in %s",
		libraryName, strings.Join(e.Tried, ", "), pathVariable)
}

// LoadError is returned for a file that is there and is no usable library.
type LoadError struct {
	Path, Reason string
}

// Error gives the loader's reason.
func (e *LoadError) Error() string {
	return fmt.Sprintf("%s does not load: %s; replace it by the library of this release, or remove it to do without a GPU", e.Path, e.Reason)
}

// VersionError is returned for a library that speaks another ABI than this binary.
type VersionError struct {
	Path           string
	Have           uint32 // 0 when it answers to no number tried
	Size, NeedSize uint32 // of its table, when the number fits and the size does not
}

// Error says both numbers.
func (e *VersionError) Error() string {
	have := fmt.Sprintf("speaks ABI %d", e.Have)
	switch {
	case e.Have == 0:
		have = "speaks no ABI known here"
	case e.NeedSize > 0:
		have = fmt.Sprintf("speaks ABI %d with a table of %d bytes, must be at least %d,", e.Have, e.Size, e.NeedSize)
	}
	return fmt.Sprintf("%s %s and this binary ABI %d; take library and binary from the same release", e.Path, have, abi.Version)
}
