package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// block is a fenced block of a page that is run, and what the page says it prints:
// the pieces occur in its output in this order.
type block struct {
	line   int
	kind   string // bash, python, javascript
	code   string
	prints []string
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// blocks of a page, in order. A block of `text` says what the one before it prints;
// other kinds are not run.
func blocks(page string) (list []block) {
	for _, m := range fence.FindAllStringSubmatchIndex(page, -1) {
		kind, code := page[m[2]:m[3]], page[m[4]:m[5]]
		line := 1 + strings.Count(page[:m[0]], "\n")
		switch kind {
		case "bash", "python", "javascript":
			list = append(list, block{line: line, kind: kind, code: code})
		case "text":
			last := &list[len(list)-1]
			for piece := range strings.Lines(code) {
				last.prints = append(last.prints, strings.TrimSpace(piece))
			}
		}
	}
	return list
}

// reader is someone who types what a page says, with the tiny model as model.gguf.
type reader struct {
	t    *testing.T
	dir  string
	page string
	api  string // in place of the page's 127.0.0.1:8080
	env  map[string]string
}

func newReader(t *testing.T, page string) *reader {
	t.Helper()
	r := &reader{t: t, dir: t.TempDir(), page: page, api: freePort(t), env: map[string]string{}}
	model, err := os.ReadFile(tiny.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(r.dir, "model.gguf"), model, 0o600),
		os.Mkdir(filepath.Join(r.dir, "bin"), 0o700),
		os.Symlink(binary, filepath.Join(r.dir, "bin", "nanofleet")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if out, err := r.command("nanofleet", "down").CombinedOutput(); err != nil {
			t.Errorf("down: %v: %s", err, out)
		}
	})
	return r
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// command runs in the reader's directory.
func (r *reader) command(name string, args ...string) *exec.Cmd {
	if name == "nanofleet" {
		name = binary
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"))
	for k, v := range r.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// do runs a block and holds its output to what the page says.
func (r *reader) do(b block) {
	r.t.Helper()
	code := strings.ReplaceAll(b.code, "127.0.0.1:8080", r.api)
	code = strings.ReplaceAll(code, "nanofleet up ", "nanofleet up --api "+r.api+" ")
	cmd := r.run(b.kind, code)
	if cmd == nil {
		return
	}
	out, err := cmd.CombinedOutput()
	where := fmt.Sprintf("%s:%d", filepath.Base(r.page), b.line)
	if err != nil {
		r.t.Errorf("%s: %v\n%s\n%s", where, err, code, out)
		return
	}
	rest := strings.ReplaceAll(string(out), r.api, "127.0.0.1:8080")
	for _, piece := range b.prints {
		_, after, found := strings.Cut(squeezed(rest), squeezed(piece))
		if !found {
			r.t.Errorf("%s does not print %q after what came before:\n%s\n%s", where, piece, code, out)
			return
		}
		rest = after
	}
	if len(b.prints) == 0 && bytes.Contains(out, []byte(`"error"`)) {
		r.t.Errorf("%s is refused:\n%s", where, out)
	}
}

var spaces = regexp.MustCompile(`[ \t]+`)

// squeezed text has one space where a table may have many.
func squeezed(s string) string { return spaces.ReplaceAllString(s, " ") }

// run is how a block is run; nil where what it needs is not there.
func (r *reader) run(kind, code string) *exec.Cmd {
	r.t.Helper()
	switch kind {
	case "python":
		python := filepath.Join(root(r.t), ".cache", "venv", "bin", "python")
		if _, err := os.Stat(python); err != nil {
			r.t.Logf("python blocks are left out: %v", err)
			return nil
		}
		return r.command(python, "-c", code)
	case "javascript":
		modules := filepath.Join(root(r.t), "testing", "clients", "node_modules")
		if _, err := os.Stat(filepath.Join(modules, "openai")); err != nil {
			r.t.Logf("javascript blocks are left out: %v", err)
			return nil
		}
		_ = os.Symlink(modules, filepath.Join(r.dir, "node_modules")) // once
		file := filepath.Join(r.dir, "block.mjs")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			r.t.Fatal(err)
		}
		return r.command("node", file)
	}
	return r.command("bash", "-euo", "pipefail", "-c", code)
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *reader) read() []block {
	r.t.Helper()
	text, err := os.ReadFile(r.page)
	if err != nil {
		r.t.Fatal(err)
	}
	list := blocks(string(text))
	if len(list) < 5 {
		r.t.Fatalf("%s has %d blocks to run", r.page, len(list))
	}
	return list
}

// TestQuickstart does what the page says, from top to bottom.
func TestQuickstart(t *testing.T) {
	r := newReader(t, "../../docs/quickstart.md")
	for _, b := range r.read() {
		r.do(b)
	}
}

// TestAPIPage runs every example of the API's page.
func TestAPIPage(t *testing.T) {
	r := newReader(t, "../../docs/api.md")
	list := r.read()
	if out, err := r.command("nanofleet", "up", "--detach", "--api", r.api, "--model", "model.gguf", "--name", "my-model").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.export(list[0].code)
	kinds := map[string]int{}
	for _, b := range list {
		kinds[b.kind]++
		r.do(b)
	}
	for _, kind := range []string{"bash", "python", "javascript"} {
		if kinds[kind] < 5 {
			t.Errorf("%d %s examples; each language is to be shown", kinds[kind], kind)
		}
	}
}

// export sets what the page's first block sets.
func (r *reader) export(code string) {
	r.t.Helper()
	out, err := r.command("bash", "-euc", strings.ReplaceAll(code, "127.0.0.1:8080", r.api)+"\nenv").Output()
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.HasPrefix(k, "OPENAI_") {
			r.env[k] = v
		}
	}
}

// TestPagesLink checks that the pages which are linked are there.
func TestPagesLink(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range []string{"README.md", "docs/quickstart.md", "docs/api.md", "docs/import.md", "docs/ARCHITECTURE.md"} {
		text, err := os.ReadFile(filepath.Join(root(t), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root(t), filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// TestCompletion asks as a shell does, with a fleet and without.
func TestCompletion(t *testing.T) {
	f := up(t)
	nodes, err := f.client().Nodes(t.Context())
	if err != nil || len(nodes) != 1 {
		t.Fatalf("%v, %v", nodes, err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"chat", ""}, "tiny"},
		{[]string{"bench", "--model", ""}, "tiny"},
		{[]string{"deploy", ""}, "tiny"},
		{[]string{"undeploy", "t"}, "tiny"},
		{[]string{"model", "rm", ""}, "tiny"},
		{[]string{"node", "rm", ""}, nodes[0].ID},
		{[]string{"key", "revoke", ""}, "key-"},
		{[]string{"stat"}, "status"},
	} {
		args := append([]string{"__complete", "--data", f.data}, c.args...)
		if out, err := exec.Command(binary, args...).Output(); err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%q completes to %q, %v; want %q in it", c.args, out, err, c.want)
		}
		args = append([]string{"__complete", "--data", t.TempDir()}, c.args...)
		if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil || strings.Contains(string(out), "no fleet") {
			t.Errorf("without a fleet %q completes to %q, %v", c.args, out, err)
		}
	}
}
