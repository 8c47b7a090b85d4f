package e2e

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/model"
	"github.com/nanofleet/nanofleet/testing/golden"
	"github.com/nanofleet/nanofleet/testing/hub"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// Files of sentence-transformers that make a model for embeddings of the tiny one.
const (
	withNormalise = `[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
 {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
 {"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]`
	withoutNormalise = `[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
 {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`
	meanTokens = `{"word_embedding_dimension":64,"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":false}`
	lastToken  = `{"word_embedding_dimension":64,"pooling_mode_mean_tokens":false,"pooling_mode_lasttoken":true,"include_prompt":true}`
	firstToken = `{"word_embedding_dimension":64,"pooling_mode_mean_tokens":false,"pooling_mode_cls_token":true}`
)

// embedder is the tiny model's directory as one for embeddings.
func embedder(t *testing.T, modules, pooling string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tiny.Dir())); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"modules.json": modules, "1_Pooling/config.json": pooling} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestEmbeddingModels serves the ways in which models for embeddings pool. A vector
// times the model's head gives logits: those of the mean are the mean of what
// transformers computes for each token, those of the last token are the last ones.
func TestEmbeddingModels(t *testing.T) {
	set, err := golden.Load(golden.Tiny)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(tiny.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	head, err := golden.Head(m)
	if err != nil {
		t.Fatal(err)
	}
	repo := tinyRepo(t)
	repo.Files["modules.json"], repo.Files["1_Pooling/config.json"] = []byte(withNormalise), []byte(lastToken)
	h := hub.Start(t, repo)
	for key, value := range map[string]string{"HF_ENDPOINT": h.URL, "HF_TOKEN": "", "HF_HOME": t.TempDir(), "XDG_CACHE_HOME": t.TempDir()} {
		t.Setenv(key, value)
	}
	f := up(t)
	for _, c := range []struct {
		name, source, pooling string
		mean, unit            bool
	}{
		{"mean", embedder(t, withoutNormalise, meanTokens), "mean, not normalised", true, false},
		{"last", "hf:org/tiny", "last", false, true},
	} {
		f.must("model", "add", c.source, "--name", c.name)
		f.must("deploy", c.name, "--wait", "60s", "--threads", "1", "--kv-bytes", "4194304", "--context", "256")
		if out := f.must("model", "inspect", c.name); !strings.Contains(squeezed(out), "embeddings "+c.pooling) {
			t.Errorf("%s is described as\n%s", c.name, out)
		}
		for _, p := range set.Prompts[:4] {
			want := p.Logits[len(p.Logits)-1]
			if c.mean {
				want = golden.Mean(p.Logits)
			}
			v := f.embed(c.name, p.IDs, "")
			length := norm(v)
			if c.unit != (math.Abs(length-1) < 1e-6) {
				t.Errorf("%s: a vector of length %v", c.name, length)
			}
			if raw := f.embed(c.name, p.IDs, `,"normalize":false`); c.unit {
				v = raw // which is in proportion, as the next lines see
			}
			if far := golden.Distance([][]float32{want}, [][]float32{golden.Times(head, v)}); !(far <= 0.05) {
				t.Errorf("%s %q: a logit is %v from transformers'", c.name, p.Text, far)
			}
			scaled := f.embed(c.name, p.IDs, `,"normalize":true`)
			for i, x := range scaled {
				if math.Abs(float64(x)*norm(v)-float64(v[i])) > 1e-4*norm(v) {
					t.Fatalf("%s: value %d is %v of length 1 and %v of length %v", c.name, i, x, v[i], norm(v))
				}
			}
		}
		f.must("undeploy", c.name)
	}
	if out, code := f.cli("model", "add", embedder(t, withNormalise, firstToken), "--name", "first"); code == 0 || !strings.Contains(out, "pooling_mode = cls") {
		t.Errorf("a model that pools by its first token: exit %d, %s", code, out)
	}
}

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// embed asks for one vector.
func (f *fleet) embed(name string, ids []int32, more string) (v []float32) {
	f.t.Helper()
	input, err := json.Marshal(ids)
	if err != nil {
		f.t.Fatal(err)
	}
	code, out := f.post("/v1/embeddings", f.key, []byte(`{"model":"`+name+`","input":`+string(input)+more+`}`))
	if code != 200 {
		f.t.Fatalf("%s: status %d: %v", name, code, out)
	}
	values := out["data"].([]any)[0].(map[string]any)["embedding"].([]any)
	for _, x := range values {
		v = append(v, float32(x.(float64)))
	}
	return v
}
