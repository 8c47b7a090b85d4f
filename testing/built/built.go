// Package built gives tests the nanofleet binary: that of NANOFLEET_BIN, or one that is
// built for them.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main runs a package's tests and ends the process. The binary's path is in path by
// then, if it is wanted; one that was built is removed in the end.
func Main(m *testing.M, path *string, wanted func() bool) {
	dir, err := os.MkdirTemp("", "nanofleet-built-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := run(m, dir, path, wanted)
	os.RemoveAll(dir)
	os.Exit(code)
}

func run(m *testing.M, dir string, path *string, wanted func() bool) int {
	*path = os.Getenv("NANOFLEET_BIN")
	if *path == "" && wanted() {
		*path = filepath.Join(dir, "nanofleet")
		if err := Build(*path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// Build writes the binary to path.
func Build(path string, flags ...string) error {
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(args, "github.com/nanofleet/nanofleet/cmd/nanofleet")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}
