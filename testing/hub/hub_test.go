package hub

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// python is an interpreter that has the official client.
func python(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"../../.cache/venv/bin/python", "python3"} {
		abs := path
		if p, err := filepath.Abs(path); err == nil && filepath.IsAbs(p) && path != "python3" {
			abs = p
		}
		if exec.Command(abs, "-c", "import huggingface_hub").Run() == nil {
			return abs
		}
	}
	t.Skip("no Python with huggingface_hub; `make setup` installs it")
	return ""
}

// The official client takes this Hub for one.
func TestOfficialClient(t *testing.T) {
	client := python(t)
	files := map[string][]byte{
		"config.json": []byte(`{"a": 1}`), "sub dir/file+1.txt": []byte("text\n"),
		"model.safetensors": make([]byte, 3<<20), "empty.txt": {},
	}
	open := &Repo{ID: "org/open", Files: files, LFS: []string{"model.safetensors"}, Licence: "apache-2.0", Branches: []string{"refs/pr/1"}}
	gated := &Repo{ID: "org/gated", Files: files, LFS: open.LFS, Licence: "other", Gated: true}
	s := Start(t, open, gated, &Repo{ID: "org/private", Files: files, Private: true})
	cmd := exec.Command(client, "client.py", t.TempDir(), s.Token)
	cmd.Env = append(os.Environ(), "HF_ENDPOINT="+s.URL, "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_TOKEN=", "HF_HOME="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		SHA      string            `json:"sha"`
		License  string            `json:"license"`
		Siblings map[string][3]any `json:"siblings"`
		Snapshot map[string]string `json:"snapshot"`
		Gated    map[string]string `json:"gated with token"`
		Denied   []any             `json:"gated"`
		Other    []any             `json:"gated other token"`
		Private  []any             `json:"private"`
		Revision []any             `json:"revision"`
		Entry    []any             `json:"entry"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := map[string]string{}
	for name, content := range files {
		want[name] = sum256(content)
	}
	if got.SHA != open.Commit || got.License != "apache-2.0" || !maps.Equal(got.Snapshot, want) || !maps.Equal(got.Gated, want) {
		t.Errorf("got %+v, want %v", got, want)
	}
	if s := got.Siblings["model.safetensors"]; s != [3]any{float64(3 << 20), open.blob("model.safetensors"), sum256(make([]byte, 3<<20))} {
		t.Errorf("a large file: %v", s)
	}
	if s := got.Siblings["config.json"]; s != [3]any{float64(8), open.blob("config.json"), nil} {
		t.Errorf("a small file: %v", s)
	}
	for _, r := range []struct {
		got  []any
		want string
	}{
		{got.Denied, "GatedRepoError"}, {got.Other, "GatedRepoError"}, {got.Private, "RepositoryNotFoundError"},
		{got.Revision, "RevisionNotFoundError"}, {got.Entry, "RemoteEntryNotFoundError"},
	} {
		if len(r.got) != 2 || r.got[0] != r.want {
			t.Errorf("raised %v, want %s", r.got, r.want)
		}
	}
	if !slices.ContainsFunc(s.Requests(), func(r Request) bool { return r.Host == s.Store }) {
		t.Error("nothing came from the large store")
	}
}
