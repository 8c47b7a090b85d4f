package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nanofleet/nanofleet/api"
	"github.com/nanofleet/nanofleet/testing/hub"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// tinyRepo is the tiny model as a repository of a Hub.
func tinyRepo(t *testing.T) *hub.Repo {
	t.Helper()
	r := &hub.Repo{ID: "org/tiny", Licence: "apache-2.0", Files: map[string][]byte{}, LFS: []string{"model.safetensors", "tokenizer.json"}}
	entries, err := os.ReadDir(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(tiny.Dir(), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		r.Files[e.Name()] = b
	}
	return r
}

// TestModelsFromElsewhere serves a model straight from a Hub, kills a download and goes
// on with it, and plans to the byte what an engine then takes.
func TestModelsFromElsewhere(t *testing.T) {
	repo := tinyRepo(t)
	h := hub.Start(t, repo)
	cache := t.TempDir()
	for key, value := range map[string]string{"HF_ENDPOINT": h.URL, "HF_TOKEN": "", "HF_HOME": t.TempDir(), "XDG_CACHE_HOME": cache} {
		t.Setenv(key, value)
	}
	f := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(f.down)
	f.must("up", "--api", "127.0.0.1:0", "--model", "hf:org/tiny", "--detach")
	f.base, f.key = strings.TrimSpace(f.read("endpoint")), strings.TrimSpace(f.read("api-key"))
	if want, _ := tiny.Answer("What is the capital of France?"); !strings.Contains(f.ask("What is the capital of France?"), want) {
		t.Errorf("the model from the Hub does not answer %q", want)
	}
	f.cameFrom(repo, h)
	f.killedDownload(repo, h, cache)
	f.planned()
}

// cameFrom checks what is kept of the origin, and that it spares a second download.
func (f *fleet) cameFrom(repo *hub.Repo, h *hub.Server) {
	f.t.Helper()
	before := stored(h)
	var v api.Version
	if err := json.Unmarshal([]byte(f.must("model", "add", "hf:org/tiny", "--json")), &v); err != nil {
		f.t.Fatal(err)
	}
	if v.Origin != (api.Origin{Source: "hf:org/tiny", Revision: repo.Commit, Licence: "apache-2.0"}) || v.Model != "tiny" {
		f.t.Errorf("version %+v", v)
	}
	if n := stored(h) - before; n != 0 {
		f.t.Errorf("adding what the fleet has fetched %d files", n)
	}
	for _, args := range [][]string{{"tiny"}, {"tiny@" + v.ID}, {"hf:org/tiny"}, {tiny.Dir()}} {
		var in api.Inspection
		if err := json.Unmarshal([]byte(f.must(append([]string{"model", "inspect", "-o", "json", "--tensors"}, args...)...)), &in); err != nil {
			f.t.Fatal(err)
		}
		if in.Architecture != "LlamaForCausalLM" || in.Parameters != 279104 || len(in.Tensors) == 0 || in.Problem != "" {
			f.t.Errorf("inspect %s: %+v", args, in)
		}
	}
}

// stored counts the requests that the large store got.
func stored(h *hub.Server) (n int) {
	for _, r := range h.Requests() {
		if r.Host == h.Store {
			n++
		}
	}
	return n
}

// killedDownload kills the program in the middle of a file; the next run goes on there.
func (f *fleet) killedDownload(repo *hub.Repo, h *hub.Server, cache string) {
	f.t.Helper()
	half, released := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.Fault = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "model.safetensors") {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(&pausing{ResponseWriter: w, left: len(repo.Files["model.safetensors"]) / 2, half: func() {
				once.Do(func() { close(half) })
				<-released
			}}, r)
		})
	}
	cmd := exec.Command(binary, "model", "add", "hf:org/tiny", "--name", "killed", "--data", f.data)
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	<-half
	f.until("half of the file is on the disk", func() bool {
		parts, _ := filepath.Glob(filepath.Join(cache, "nanofleet/downloads/*/model.safetensors.part"))
		if len(parts) != 1 {
			return false
		}
		info, err := os.Stat(parts[0])
		return err == nil && info.Size() >= int64(len(repo.Files["model.safetensors"])/2)
	})
	if err := cmd.Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	_ = cmd.Wait() // which says that it was killed
	close(released)
	h.Fault = nil
	f.must("model", "add", "hf:org/tiny", "--name", "killed")
	last := ""
	for _, r := range h.Requests() {
		if r.Host == h.Store && strings.HasSuffix(r.Path, "model.safetensors") {
			last = r.Range
		}
	}
	from, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(last, "bytes="), "-"))
	if err != nil || from < len(repo.Files["model.safetensors"])/2 {
		f.t.Errorf("after the kill the file was asked for with range %q; want its second half", last)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "nanofleet/downloads/*")); len(left) != 0 {
		f.t.Errorf("left in the cache: %v", left)
	}
}

// pausing calls half once some bytes went through.
type pausing struct {
	http.ResponseWriter
	left int
	half func()
}

func (p *pausing) Write(b []byte) (int, error) {
	if p.left < 0 || len(b) < p.left {
		p.left -= len(b)
		return p.ResponseWriter.Write(b)
	}
	n, err := p.ResponseWriter.Write(b[:p.left])
	if err != nil {
		return n, err
	}
	_ = http.NewResponseController(p.ResponseWriter).Flush()
	p.left = -1
	p.half()
	m, err := p.ResponseWriter.Write(b[n:])
	return n + m, err
}

// planned deploys what a plan says and finds the plan's bytes in the ready engine.
func (f *fleet) planned() {
	f.t.Helper()
	var p api.Plan
	args := []string{"model", "plan", "tiny", "--cpu", "--context", "512", "--concurrency", "6", "-o", "json"}
	if err := json.Unmarshal([]byte(f.must(args...)), &p); err != nil {
		f.t.Fatal(err)
	}
	f.must("deploy", "tiny", "--as", "planned", "--backend", "cpu", "--context", "512", "--max-running", "6",
		"--kv-bytes", strconv.FormatUint(p.Options.KVBytes, 10), "--wait", "60s")
	d, err := f.client().Deployment(f.t.Context(), "planned")
	if err != nil || len(d.Instances) != 1 || d.Ready != 1 {
		f.t.Fatalf("%+v, %v", d, err)
	}
	if d.Instances[0].Footprint != p.Footprint {
		f.t.Errorf("the instance takes %+v, the plan says %+v", d.Instances[0].Footprint, p.Footprint)
	}
	var local api.Plan
	args[2] = tiny.Dir()
	if err := json.Unmarshal([]byte(f.must(args...)), &local); err != nil || local.Footprint != p.Footprint {
		f.t.Errorf("of the same files here: %+v, %v; want %+v", local.Footprint, err, p.Footprint)
	}
}

// Mistakes with sources end with the right code and words that help.
func TestSourceMistakes(t *testing.T) {
	h := hub.Start(t, &hub.Repo{ID: "org/gated", Gated: true, Files: map[string][]byte{"a.gguf": []byte("GGUF")}, LFS: []string{"a.gguf"}})
	for key, value := range map[string]string{"HF_ENDPOINT": h.URL, "HF_TOKEN": "", "HF_HOME": t.TempDir(), "OLLAMA_MODELS": t.TempDir()} {
		t.Setenv(key, value)
	}
	f := &fleet{t: t, data: t.TempDir()}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"model", "inspect", "hf:org/gated"}, 1, "set HF_TOKEN"},
		{[]string{"model", "inspect", "hf:org/none"}, 1, "check the name"},
		{[]string{"model", "inspect", "ollama:none"}, 1, "OLLAMA_MODELS"},
		{[]string{"model", "inspect", h.URL + "/nothing.gguf"}, 1, "404"},
		{[]string{"model", "inspect", "./nothing.gguf"}, 1, "hf:org/name"},
		{[]string{"model", "inspect", tiny.GGUF(), "-o", "yaml"}, 2, "table or json"},
		{[]string{"model", "inspect", tiny.GGUF(), "--file", "x.gguf"}, 2, "--file"},
		{[]string{"model", "inspect", "nothing"}, 2, "nanofleet up"},
		{[]string{"model", "plan", tiny.GGUF()}, 2, "--gpu NAME"},
		{[]string{"model", "plan", tiny.GGUF(), "--gpu", "voodoo2"}, 2, "h100"},
		{[]string{"model", "plan", tiny.GGUF(), "--gpu", "h100", "--context", "32x"}, 2, "32k"},
		{[]string{"model", "plan", tiny.GGUF(), "--gpu", "h100", "--context", "32k"}, 1, "at most 1024"},
		{[]string{"model", "plan", tiny.GGUF(), "--gpu", "h100", "--quant", "int3"}, 2, "quant: \"int3\", backend cuda has only "},
		{[]string{"model", "plan", tiny.GGUF(), "--cpu", "--quant", "int4"}, 2, "quantised already"},
		{[]string{"model", "plan", tiny.GGUF(), "--cpu", "--kv-dtype", "fp8"}, 2, "backend cpu has only f16, f32"},
		{[]string{"model", "plan", tiny.GGUF(), "--cpu", "--kv-dtype", "f32", "--quant", "none"}, 0, "fits"},
		{[]string{"model", "plan", tiny.GGUF(), "--memory", "24GiB", "--context", "512"}, 0, "fits"},
		{[]string{"model", "plan", tiny.GGUF(), "--memory", "1KiB"}, 0, "lacking"},
		{[]string{"up", "--model", "hf:", "--api", "127.0.0.1:0"}, 2, "hf:org/name"},
	} {
		out, code := f.cli(c.args...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d and %q: %s", c.args, code, c.code, c.says, out)
		}
	}
}
