package gpu

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// compile builds testdata/source into a shared library called name.
func compile(t *testing.T, source, name string, defines ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is not installed")
	}
	out := filepath.Join(t.TempDir(), name)
	args := []string{"-shared", "-fPIC", "-I../../cuda/include", "-o", out, filepath.Join("testdata", source)}
	for _, d := range defines {
		args = append(args, "-D"+d)
	}
	if text, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, text)
	}
	return out
}

// library is a test library that speaks an ABI and whose create gives a code.
func library(t *testing.T, speaks uint32, size string, create abi.Code) string {
	return compile(t, "library.c", libraryName,
		fmt.Sprintf("SPEAKS=%d", speaks), "SIZE="+size, fmt.Sprintf("CREATE=%d", create))
}

func TestNoLibraryNamesEveryPath(t *testing.T) {
	tried := []string{filepath.Join(t.TempDir(), "a.so"), filepath.Join(t.TempDir(), "b.so")}
	_, err := load(tried)
	var absent *AbsentError
	if !errors.As(err, &absent) {
		t.Fatalf("load = %v, want an AbsentError", err)
	}
	for _, want := range append(tried, pathVariable) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestFilesThatAreNoLibrary(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("not an ELF file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plain := compile(t, "driver.c", "plain.so", "VERSION=0", "INIT=0", "DEVICES=0", "MAJOR=0")
	for path, want := range map[string]string{
		text:                            "text.so",
		dir:                             "cannot read",
		plain:                           "nf_open",
		filepath.Join(text, "below.so"): "not a directory",
	} {
		_, err := load([]string{path})
		var unloadable *LoadError
		if !errors.As(err, &unloadable) || unloadable.Path != path || !strings.Contains(err.Error(), want) {
			t.Errorf("load(%s) = %v, want a LoadError with %q", path, err, want)
		}
	}
}

// A broken library must not hide behind a sound one further down the list.
func TestSearchEndsAtTheFirstFile(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.so")
	if err := os.WriteFile(broken, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	sound := library(t, abi.Version, "sizeof(nf_api)", abi.Invalid)
	missing := filepath.Join(t.TempDir(), "missing.so")
	var unloadable *LoadError
	if _, err := load([]string{missing, broken, sound}); !errors.As(err, &unloadable) || unloadable.Path != broken {
		t.Errorf("load = %v, want the broken file", err)
	}
	if l, err := load([]string{missing, sound, broken}); err != nil || l.Path() != sound {
		t.Errorf("load = %v, %v, want the sound file", l, err)
	}
}

func TestOtherABI(t *testing.T) {
	for _, c := range []struct {
		speaks uint32
		size   string
		want   []string
	}{
		{abi.Version + 6, "sizeof(nf_api)", []string{"speaks ABI 9", "this binary ABI 3"}},
		{1000, "sizeof(nf_api)", []string{"no ABI known", "this binary ABI 3"}},
		{abi.Version, "16", []string{"16 bytes", "at least"}},
	} {
		_, err := load([]string{library(t, c.speaks, c.size, abi.OK)})
		var version *VersionError
		if !errors.As(err, &version) {
			t.Errorf("ABI %d: %v, want a VersionError", c.speaks, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("ABI %d: %q does not say %q", c.speaks, err, want)
			}
		}
	}
}

func TestProbeOfALibrary(t *testing.T) {
	l, err := load([]string{library(t, abi.Version, "sizeof(nf_api)", abi.Unsupported)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Probe()
	want := abi.ProbeInfo{Devices: 2, Name: "Test GPU", ISA: "sm_90", Build: "test", MemoryTotal: 80, MemoryFree: 79}
	if err != nil || p != want {
		t.Errorf("Probe = %+v, %v, want %+v", p, err, want)
	}
}

// Honours tells a library that makes engines from one that does not, and keeps no
// engine that it happened to make.
func TestHonours(t *testing.T) {
	for create, want := range map[abi.Code]error{
		abi.OK: nil, abi.Invalid: nil, abi.Unsupported: abi.ErrUnsupported, abi.DeviceLost: abi.ErrDeviceLost,
	} {
		l, err := load([]string{library(t, abi.Version, "sizeof(nf_api)", create)})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Honours(); !errors.Is(err, want) {
			t.Errorf("create answers %v: Honours = %v, want %v", create, err, want)
		}
		if p, _ := l.Probe(); create == abi.OK && p.MemoryFree != 80 {
			t.Error("the engine made to ask was not destroyed")
		}
	}
}
