package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackageDocs demands that every package opens with what it is for.
func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		doc := ""
		for _, f := range parse(t, p, parser.PackageClauseOnly|parser.ParseComments) {
			doc += f.Doc.Text()
		}
		if name := room(p.ImportPath); len(doc) < 40 && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			t.Errorf("%s: its package comment is %q; say what it is for", name, doc)
		}
	}
}

func parse(t *testing.T, p pkg, mode parser.Mode) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, mode)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// impure are imports that a pure core has no use for.
var impure = map[string]string{
	"net": "network", "net/http": "network", "os": "files", "os/exec": "processes",
	"math/rand": "hidden randomness", "math/rand/v2": "hidden randomness", "crypto/rand": "hidden randomness",
	"log": "output", "log/slog": "output",
}

// clock are the functions of time that read or follow the clock.
var clock = map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true}

// TestPureCores looks for clocks, network, files, hidden randomness and goroutines.
func TestPureCores(t *testing.T) {
	for _, p := range packages(t) {
		name := room(p.ImportPath)
		if !isPure(name) {
			continue
		}
		for _, f := range parse(t, p, parser.SkipObjectResolution) {
			for _, found := range impurities(f) {
				t.Errorf("%s: %s: a pure core takes it as an argument", name, found)
			}
		}
	}
}

func isPure(name string) bool {
	for _, p := range pure {
		if under(name, p) {
			return true
		}
	}
	return false
}

func impurities(f *ast.File) (found []string) {
	for _, i := range f.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		if what := impure[path]; what != "" {
			found = append(found, "imports "+path+" ("+what+")")
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock[n.Sel.Name] {
				found = append(found, "calls time."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}
