package gpu

import (
	"slices"
	"testing"
)

func TestSearchOrder(t *testing.T) {
	for _, c := range []struct {
		named, executable string
		want              []string
	}{
		{"/x/y.so", "/opt/bin/nanofleet", []string{"/x/y.so"}},
		{"", "/opt/bin/nanofleet", []string{
			"/opt/bin/libnanofleet_cuda.so", "/opt/lib/nanofleet/libnanofleet_cuda.so", "/usr/lib/nanofleet/libnanofleet_cuda.so"}},
		{"", "", []string{"/usr/lib/nanofleet/libnanofleet_cuda.so"}},
	} {
		if got := pathsFor(c.named, c.executable); !slices.Equal(got, c.want) {
			t.Errorf("pathsFor(%q, %q) = %q, want %q", c.named, c.executable, got, c.want)
		}
	}
}
