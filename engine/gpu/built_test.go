package gpu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// built is what `make cuda` leaves behind.
func built(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../cuda/build/" + libraryName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not built: make cuda", path)
	}
	return path
}

// askVariable makes this test binary a process that opens the library as any other
// would and prints what Probe and Available say. What a driver answers is fixed at a
// process's start, so each driver needs its own.
const askVariable = "NANOFLEET_GPU_TEST_ASK"

func TestMain(m *testing.M) {
	if os.Getenv(askVariable) == "" {
		os.Exit(m.Run())
	}
	p, err := Probe()
	if err != nil {
		println("probe:", err.Error())
	} else {
		println("probe:", p.Devices, "x", p.Name, p.ISA, p.Build)
	}
	if err := Available(); err != nil {
		println("available:", err.Error())
	} else {
		println("available: yes")
	}
	if _, err := New(abi.Limits{MaxSlots: 1, MaxRows: 1, MaxTokens: 1, MaxPositions: 1, Pages: 1}); err != nil {
		println("new:", err.Error())
	}
}

// ask runs such a process with further environment.
func ask(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, askVariable+"=1")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestDriversOfThePretendedKind(t *testing.T) {
	lib := built(t)
	for _, c := range []struct {
		name    string
		defines []string
		want    string
	}{
		{"too old", []string{"VERSION=12080", "INIT=0", "DEVICES=1", "MAJOR=9"},
			"probe: probe: unsupported: the NVIDIA driver is too old: found "},
		{"too old for what", []string{"VERSION=12080", "INIT=0", "DEVICES=1", "MAJOR=9"},
			"for CUDA 12.8, must be at least 580 for CUDA 13.0"},
		{"no GPU", []string{"VERSION=13000", "INIT=100", "DEVICES=0", "MAJOR=9"}, "the NVIDIA driver finds no GPU"},
		{"all hidden", []string{"VERSION=13000", "INIT=0", "DEVICES=0", "MAJOR=9"}, "the NVIDIA driver finds no GPU"},
		{"broken", []string{"VERSION=13000", "INIT=999", "DEVICES=1", "MAJOR=9"}, "cuInit answers 999"},
		{"other GPU", []string{"VERSION=13000", "INIT=0", "DEVICES=1", "MAJOR=7"},
			"Pretended GPU is sm_70, and this build has code for sm_"},
		{"works", []string{"VERSION=13000", "INIT=0", "DEVICES=3", "MAJOR=9"}, "probe: 3 x Pretended GPU sm_90 cuda-"},
		{"works", []string{"VERSION=13010", "INIT=0", "DEVICES=1", "MAJOR=9"}, "available: yes"},
		{"works, no runtime", []string{"VERSION=13010", "INIT=0", "DEVICES=1", "MAJOR=9"}, "new: create: unsupported: create: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			driver := compile(t, "driver.c", "libcuda.so.1", c.defines...)
			said := ask(t, pathVariable+"="+lib, "LD_LIBRARY_PATH="+filepath.Dir(driver))
			if !strings.Contains(said, c.want) {
				t.Errorf("said\n%swant %q", said, c.want)
			}
		})
	}
}

func TestAbsentLibraryIsHarmless(t *testing.T) {
	said := ask(t, pathVariable+"="+filepath.Join(t.TempDir(), "none.so"))
	for _, call := range []string{"probe: ", "available: ", "new: "} {
		if !strings.Contains(said, call+libraryName+" is not there; tried ") {
			t.Errorf("said\n%swant %q", said, call)
		}
	}
}

// On this host, whatever it has: with a GPU the probe describes it and engines are
// made, without one both say what is missing.
func TestBuiltLibraryHere(t *testing.T) {
	l, err := load([]string{built(t)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Probe()
	if err != nil {
		if !errors.Is(err, abi.ErrUnsupported) || !strings.Contains(err.Error(), "NVIDIA driver") {
			t.Errorf("Probe = %v, want what is missing", err)
		}
		t.Log(err)
	} else {
		t.Logf("%+v", p)
		if p.Devices < 1 || !strings.HasPrefix(p.ISA, "sm_") || p.Name == "" || p.Build == "" ||
			p.MemoryFree == 0 || p.MemoryFree > p.MemoryTotal {
			t.Errorf("Probe = %+v", p)
		}
	}
	if honours := l.Honours(); (honours == nil) != (err == nil) {
		t.Errorf("Probe = %v, Honours = %v: where a device is there, create is honoured", err, honours)
	}
}
