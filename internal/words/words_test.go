package words

import "testing"

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 files":   Count(0, "file"),
		"1 file":    Count(uint64(1), "file"),
		"2 files":   Count(uint32(2), "file"),
		"1 query":   Count(1, "query"),
		"5 queries": Count(int64(5), "query"),
		"replicas":  Form(3, "replica"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
