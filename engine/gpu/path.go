package gpu

import (
	"os"
	"path/filepath"
)

const (
	libraryName  = "libnanofleet_cuda.so"
	pathVariable = "NANOFLEET_CUDA"
)

// paths are where the library may lie, in the order of search: the file that
// NANOFLEET_CUDA names, and then no other; beside the binary; where a package puts it.
func paths() []string {
	executable, err := os.Executable()
	if err == nil {
		// Beside the file itself, not beside a link in some bin directory.
		if real, err := filepath.EvalSymlinks(executable); err == nil {
			executable = real
		}
	}
	return pathsFor(os.Getenv(pathVariable), executable)
}

func pathsFor(named, executable string) []string {
	if named != "" {
		return []string{named}
	}
	var all []string
	if executable != "" {
		dir := filepath.Dir(executable)
		all = append(all, filepath.Join(dir, libraryName), filepath.Join(dir, "..", "lib", "nanofleet", libraryName))
	}
	return append(all, filepath.Join("/usr/lib/nanofleet", libraryName))
}
