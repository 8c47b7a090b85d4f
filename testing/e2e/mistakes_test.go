package e2e

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/testing/tiny"
)

// mistake is a command that cannot work, its exit code, and what its error must say:
// among it what to do next.
type mistake struct {
	name string
	args []string
	env  []string
	code int
	says []string
}

// TestMistakes makes the mistakes of a first day. Each is named, with what to do next.
func TestMistakes(t *testing.T) {
	f := up(t)
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	noise := filepath.Join(dir, "noise.gguf")
	cut := filepath.Join(dir, "cut.gguf")
	file := filepath.Join(dir, "file")
	bare := filepath.Join(dir, "bare")
	if err := os.Mkdir(bare, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string][]byte{bare + "/config.json": []byte("{}"), bare + "/model.safetensors": []byte("x"), noise: bytes.Repeat([]byte{7}, 5000), cut: []byte("GGUF\x03\x00\x00\x00"), file: nil} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beside := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(beside.down)
	user := strings.TrimSpace(f.must("key", "create", "app"))
	plain := strings.TrimPrefix(f.base, "http://")
	secure := &fleet{t: t, data: t.TempDir()}
	t.Cleanup(secure.down)
	secure.must("up", "--api", "0.0.0.0:0", "--detach")
	tls := strings.TrimSpace(secure.read("endpoint"))
	for _, m := range []mistake{
		{name: "no fleet", args: []string{"status", "--data", dir}, code: 2, says: []string{"no fleet found in " + dir, "nanofleet up", "--server"}},
		{name: "nobody there", args: []string{"status", "--server", "127.0.0.1:1"}, code: 3, says: []string{"127.0.0.1:1", "nanofleet up", "--server"}},
		{name: "no such host", args: []string{"status", "--server", "no-such-host.invalid:80"}, code: 3, says: []string{"no-such-host.invalid", "--server"}},
		{name: "no address", args: []string{"status", "--server", "ftp://x"}, code: 2, says: []string{"ftp://x", "http://host:port"}},
		{name: "TLS to a plain port", args: []string{"status", "--server", "https://" + plain}, code: 3, says: []string{"begin it with http://"}},
		{name: "plain to a TLS port", args: []string{"status", "--server", "http://" + strings.TrimPrefix(tls, "https://")}, code: 4, says: []string{"begin it with https://"}},
		{name: "another authority", args: []string{"status", "--server", tls}, code: 3, says: []string{"certificate", "--ca-cert"}},
		{name: "no such CA file", args: []string{"status", "--server", tls, "--ca-cert", dir + "/none"}, code: 2, says: []string{"--ca-cert", "none"}},
		{name: "not a CA file", args: []string{"status", "--server", tls, "--ca-cert", noise}, code: 2, says: []string{"--ca-cert", "no certificate"}},
		{name: "wrong key", args: []string{"status"}, env: []string{"NANOFLEET_API_KEY=wrong"}, code: 4, says: []string{"incorrect API key", "--key-file", "nanofleet key create"}},
		{name: "a user's key", args: []string{"status"}, env: []string{"NANOFLEET_API_KEY=" + user}, code: 4, says: []string{"admin"}},
		{name: "no such key file", args: []string{"status", "--key-file", dir + "/none"}, code: 2, says: []string{"--key-file", "none"}},
		{name: "unknown command", args: []string{"stauts"}, code: 2, says: []string{`perhaps you mean "status"`, "--help"}},
		{name: "unknown command within", args: []string{"model", "ad"}, code: 2, says: []string{`perhaps you mean "add"`, "nanofleet model --help"}},
		{name: "unknown flag", args: []string{"status", "--jsn"}, code: 2, says: []string{"perhaps you mean --json", "nanofleet status --help"}},
		{name: "wrong value", args: []string{"deploy", "tiny", "--replicas", "many"}, code: 2, says: []string{"--replicas", "many", "nanofleet deploy --help"}},
		{name: "missing argument", args: []string{"key", "create"}, code: 2, says: []string{"name", "nanofleet key create --help"}},
		{name: "empty argument", args: []string{"undeploy", ""}, code: 2, says: []string{"empty", "nanofleet status"}},
		{name: "chat with a misspelt model", args: []string{"chat", "tniy"}, code: 2, says: []string{`"tniy"`, `perhaps you mean "tiny"`, "nanofleet status"}},
		{name: "deploy a misspelt model", args: []string{"deploy", "tniy"}, code: 4, says: []string{`"tniy"`, `perhaps you mean "tiny"`, "nanofleet model add"}},
		{name: "undeploy what is not there", args: []string{"undeploy", "tyni"}, code: 4, says: []string{`perhaps you mean "tiny"`, "nanofleet status"}},
		{name: "remove what is not there", args: []string{"model", "rm", "nothing-like-it"}, code: 4, says: []string{"tiny", "nanofleet model ls"}},
		{name: "remove what runs", args: []string{"model", "rm", "tiny"}, code: 4, says: []string{"tiny", "deployment", "nanofleet undeploy"}},
		{name: "revoke what is not there", args: []string{"key", "revoke", "x"}, code: 4, says: []string{"not found", "nanofleet key ls"}},
		{name: "remove no host", args: []string{"node", "rm", "x"}, code: 4, says: []string{"not found", "nanofleet node ls"}},
		{name: "unknown version", args: []string{"deploy", "tiny", "--version", "v-0"}, code: 4, says: []string{"v-0", "nanofleet model ls"}},
		{name: "no such file", args: []string{"model", "add", dir + "/none.gguf", "--name", "x"}, code: 1, says: []string{"none.gguf", "hf:org/name"}},
		{name: "no model", args: []string{"model", "add", noise, "--name", "x"}, code: 1, says: []string{noise, "GGUF", "Hugging Face directory"}},
		{name: "a damaged model", args: []string{"model", "add", cut, "--name", "x"}, code: 4, says: []string{cut, "nanofleet model inspect"}},
		{name: "no tokenizer", args: []string{"model", "add", bare, "--name", "x"}, code: 1, says: []string{bare, "tokenizer.json", "copy it"}},
		{name: "inspect no model", args: []string{"model", "inspect", "/etc/hostname"}, code: 1, says: []string{"/etc/hostname", "GGUF", "Hugging Face directory"}},
		{name: "inspect a misspelt model", args: []string{"model", "inspect", "tniy"}, code: 4, says: []string{`perhaps you mean "tiny"`, "nanofleet model ls"}},
		{name: "plan a misspelt model", args: []string{"model", "plan", "tniy", "--gpu", "h100"}, code: 4, says: []string{`perhaps you mean "tiny"`, "nanofleet model ls"}},
		{name: "plan for no such card", args: []string{"model", "plan", "tiny", "--gpu", "h1000"}, code: 2, says: []string{"h1000", "h100-pcie", "--memory"}},
		{name: "a source out of reach", args: []string{"model", "add", "http://127.0.0.1:1/x.gguf"}, code: 1, says: []string{"127.0.0.1:1", "check the address"}},
		{name: "replicas below none", args: []string{"deploy", "tiny", "--replicas", "-1"}, code: 4, says: []string{"--replicas", "-1", "0", "nanofleet deploy --help"}},
		{name: "a step's limit below none", args: []string{"deploy", "tiny", "--step-limit", "-1s"}, code: 2, says: []string{"--step-limit", "-1s", "24h0m0s", "nanofleet deploy --help"}},
		{name: "no such backend", args: []string{"deploy", "tiny", "--backend", "abacus"}, code: 4, says: []string{"--backend", "abacus", "cpu", "nanofleet deploy --help"}},
		{name: "longer than the model", args: []string{"deploy", "tiny", "--context", "96k"}, code: 4, says: []string{"--context", "98304", "at most 1024", "nanofleet deploy --help"}},
		{name: "too small a pool", args: []string{"deploy", "tiny", "--kv-bytes", "1k"}, code: 4, says: []string{"--kv-bytes", "1024", "at least", "nanofleet deploy --help"}},
		{name: "no such role", args: []string{"key", "create", "a", "--role", "boss"}, code: 4, says: []string{"--role", "boss", "admin", "nanofleet key create --help"}},
		{name: "bench a misspelt model", args: []string{"bench", "--model", "tniy"}, code: 2, says: []string{`perhaps you mean "tiny"`, "nanofleet status"}},
		{name: "no number", args: []string{"chat", "tiny", "--temperature", "hot"}, code: 2, says: []string{"--temperature", "hot", "want a number", "nanofleet chat --help"}},
		{name: "up with no model", args: []string{"up", "--model", noise, "--detach", "--data", beside.data, "--api", "127.0.0.1:0"}, code: 1, says: []string{noise, "GGUF", "nanofleet down --data " + beside.data}},
		{name: "bad name", args: []string{"model", "add", tiny.GGUF(), "--name", "a b"}, code: 4, says: []string{"a b"}},
		{name: "port taken", args: []string{"up", "--api", taken.Addr().String(), "--data", t.TempDir()}, code: 1, says: []string{"in use", "--api"}},
		{name: "port taken, in the background", args: []string{"up", "--api", taken.Addr().String(), "--data", t.TempDir(), "--detach"}, code: 1, says: []string{"in use", "--api"}},
		{name: "no port", args: []string{"up", "--api", "localhost", "--data", dir}, code: 2, says: []string{"localhost", "host:port"}},
		{name: "data in a file", args: []string{"up", "--api", "127.0.0.1:0", "--data", file}, code: 1, says: []string{"--data", "write"}},
		{name: "data in a file, in the background", args: []string{"up", "--api", "127.0.0.1:0", "--data", file, "--detach"}, code: 1, says: []string{"--data", "write"}},
		{name: "another fleet there", args: []string{"up", "--api", "127.0.0.1:0"}, code: 1, says: []string{"already", "nanofleet down"}},
		{name: "half a certificate", args: []string{"up", "--tls-cert", noise, "--data", dir}, code: 2, says: []string{"--tls-key"}},
		{name: "model not there", args: []string{"up", "--model", dir + "/none.gguf", "--data", dir, "--api", "127.0.0.1:0"}, code: 2, says: []string{"--model", "none.gguf"}},
		{name: "temperature", args: []string{"chat", "tiny", "--temperature", "9"}, code: 2, says: []string{"--temperature", "0 to 2"}},
		{name: "no requests", args: []string{"bench", "--requests", "0"}, code: 2, says: []string{"requests", "1"}},
		{name: "time to live", args: []string{"token", "create", "--ttl", "9x"}, code: 4, says: []string{"9x", "168h"}},
		{name: "agent without a token", args: []string{"agent", "--data", t.TempDir(), "--coordinators", "127.0.0.1:1"}, code: 1, says: []string{"token"}},
		{name: "coordinator of no fleet", args: []string{"coordinator", "--data", t.TempDir(), "--api", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, code: 1, says: []string{"--bootstrap"}},
		{name: "engine without a socket", args: []string{"engine"}, code: 2, says: []string{"--socket", "--help"}},
		{name: "a backend nobody has", args: []string{"deploy", "tiny", "--as", "quick", "--backend", "cuda", "--wait", "1s"}, code: 1, says: []string{"cuda", "0 of 1 replica ready", "nanofleet status"}},
	} {
		f.make(m)
	}
}

func (f *fleet) make(m mistake) {
	f.t.Helper()
	args := m.args
	if !strings.Contains(strings.Join(args, " "), "--data") && args[0] != "engine" {
		args = append(args, "--data", f.data)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), m.env...)
	out, err := cmd.CombinedOutput()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		f.t.Fatal(err)
	}
	if code != m.code {
		f.t.Errorf("%s: exit %d, want %d: %s", m.name, code, m.code, out)
	}
	for _, word := range m.says {
		if !strings.Contains(string(out), word) {
			f.t.Errorf("%s: %q is not in:\n%s", m.name, word, out)
		}
	}
}
