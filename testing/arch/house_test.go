package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
	CgoFiles   []string
}

// room is the package's place in the house; "" for one that is not ours.
func room(path string) string {
	rest, ours := strings.CutPrefix(path, module)
	if !ours {
		return ""
	}
	return rest
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles,CgoFiles", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 20 {
		t.Fatalf("go list found %d packages only", len(list))
	}
	return list
}

func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// ruleOf gives the rule of the longest room that holds path.
func ruleOf(path string) (best rule, found bool) {
	for _, r := range arrows {
		if under(path, r.room) && len(r.room) >= len(best.room) {
			best, found = r, true
		}
	}
	return best, found
}

// TestArrows fails on an import that the house does not allow, with the reason.
func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		r, found := ruleOf(from)
		if !found {
			t.Errorf("%s is in no room of the house; add it to arrows", from)
			continue
		}
		for _, i := range p.Imports {
			to := room(i)
			if to != "" && !allowed(r, from, to) {
				t.Errorf("%s imports %s: %s", from, to, r.why)
			}
		}
	}
}

func allowed(r rule, from, to string) bool {
	if under(to, "testing") && !under(from, "testing") {
		return false
	}
	if neighbour, _ := ruleOf(to); neighbour.room == r.room {
		return true
	}
	for _, m := range r.may {
		if under(to, m) {
			return true
		}
	}
	return false
}

// TestRulesAreUsed fails on a rule whose room is empty: it would check nothing.
func TestRulesAreUsed(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		r, _ := ruleOf(room(p.ImportPath))
		used[r.room] = true
	}
	for _, r := range arrows {
		if !used[r.room] {
			t.Errorf("no package is in %s", r.room)
		}
	}
}
