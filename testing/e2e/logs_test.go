package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRequestIDReachesEveryLog sends a request with an id of its own and looks for it
// in the logs of coordinator and engine.
func TestRequestIDReachesEveryLog(t *testing.T) {
	f := up(t)
	const id = "trace-me-4711"
	req, err := http.NewRequest(http.MethodPost, f.base+chatPath, strings.NewReader(`{`+hello+`}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	req.Header.Set("X-Request-Id", id)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("X-Request-Id"); got != id {
		t.Errorf("the answer's id is %q, want %q", got, id)
	}
	for _, pattern := range []string{"log/coordinator.log", "agent/log/*.log"} {
		if !f.logged(pattern, id) {
			t.Errorf("%s does not mention request %s", pattern, id)
		}
	}
}

// logged waits for a word in some file of a pattern.
func (f *fleet) logged(pattern, word string) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(f.data, pattern))
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), word) {
				return true
			}
		}
	}
	return false
}
