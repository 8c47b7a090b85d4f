package guards

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root of the repository.
const root = "../.."

// TestGuardsExist demands that every guard is in its file once and every test in its
// package.
func TestGuardsExist(t *testing.T) {
	for _, g := range guards {
		source := read(t, g.file)
		if n := strings.Count(source, g.code); n != 1 {
			t.Errorf("%s: %s holds its guard %d times, want once:\n%s", g.edge, g.file, n, g.code)
		}
		if g.code == g.broken {
			t.Errorf("%s: nothing is taken out of %s", g.edge, g.file)
		}
		if !declared(t, g.pkg, g.test) {
			t.Errorf("%s: %s has no test %s", g.edge, g.pkg, g.test)
		}
	}
}

// TestGuardsMatter takes each guard out and demands that its test fails.
func TestGuardsMatter(t *testing.T) {
	if os.Getenv("NANOFLEET_PROVE") == "" {
		t.Skip("takes minutes; `make prove-guards` runs it")
	}
	for _, g := range guards {
		t.Run(g.edge+"/"+g.test, func(t *testing.T) { g.prove(t) })
	}
}

func (g guard) prove(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=120s", "-overlay", g.overlay(t), "-run", "^"+g.test+"$", "./"+g.pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("%s passes without its guard in %s:\n%s", g.test, g.file, g.code)
	}
	if text := string(out); !strings.Contains(text, "--- FAIL: "+g.test) && !strings.Contains(text, "panic:") {
		t.Fatalf("%s did not get to fail:\n%s", g.test, text)
	}
}

// overlay is a file that tells the go command to read the broken text instead.
func (g guard) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	broken := filepath.Join(dir, filepath.Base(g.file))
	write(t, broken, []byte(strings.Replace(read(t, g.file), g.code, g.broken, 1)))
	whole, err := filepath.Abs(filepath.Join(root, g.file))
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {whole: broken}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	write(t, name, list)
	return name
}

// declared says whether a package's tests hold a function.
func declared(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
