package probe

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/nanofleet/nanofleet/wire"
)

// tree writes files below a new root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const meminfoText = "MemTotal:       16384000 kB\nMemFree:         1000 kB\nMemAvailable:    8192000 kB\nHugePages_Total: 0\n"

func TestMemory(t *testing.T) {
	const kib = 1 << 10
	for name, c := range map[string]struct {
		files map[string]string
		want  memory
	}{
		"bare": {nil, memory{16384000 * kib, 8192000 * kib}},
		"no limit": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, memory{16384000 * kib, 8192000 * kib}},
		"version 2, with page cache": {map[string]string{
			"proc/self/cgroup":                 "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max":     "1048576\n",
			"sys/fs/cgroup/a/b/memory.current": "1000000\n",
			"sys/fs/cgroup/a/b/memory.stat":    "anon 5\ninactive_file 400000\n",
		}, memory{1048576, 1048576 - 600000}},
		"the outer group is narrower": {map[string]string{
			"proc/self/cgroup":                 "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max":     "2097152\n",
			"sys/fs/cgroup/a/b/memory.current": "0\n",
			"sys/fs/cgroup/a/memory.max":       "1048576\n",
			"sys/fs/cgroup/a/memory.current":   "1048576\n",
		}, memory{1048576, 0}},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1048576\n",
			"sys/fs/cgroup/memory/x/memory.usage_in_bytes": "48576\n",
		}, memory{1048576, 1000000}},
		"in a container only the root is visible": {map[string]string{
			"proc/self/cgroup":             "0::/\n",
			"sys/fs/cgroup/memory.max":     "1048576\n",
			"sys/fs/cgroup/memory.current": "2000000\n",
		}, memory{1048576, 0}},
	} {
		files := map[string]string{"proc/meminfo": meminfoText}
		for path, text := range c.files {
			files[path] = text
		}
		if got, err := readMemory(tree(t, files)); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	if _, err := readMemory(tree(t, map[string]string{"proc/meminfo": "nothing"})); err == nil {
		t.Error("memory was read from nothing")
	}
}

const cpuinfoText = `processor	: 0
model name	: A Processor @ 2.0GHz
physical id	: 0
core id		: 0

processor	: 1
model name	: A Processor @ 2.0GHz
physical id	: 0
core id		: 0

processor	: 2
model name	: A Processor @ 2.0GHz
physical id	: 0
core id		: 1

processor	: 3
model name	: A Processor @ 2.0GHz
physical id	: 1
core id		: 1
`

func TestCores(t *testing.T) {
	root := tree(t, map[string]string{"proc/cpuinfo": cpuinfoText})
	for _, c := range []struct {
		mayUse []int
		want   int
	}{
		{[]int{0, 1, 2, 3}, 3}, {[]int{0, 1}, 1}, {[]int{1, 3}, 2}, {[]int{9}, 1},
	} {
		may := map[int]bool{}
		for _, cpu := range c.mayUse {
			may[cpu] = true
		}
		if got := physical(root, func(cpu int) bool { return may[cpu] }, len(c.mayUse)); got != c.want {
			t.Errorf("processors %v are %d cores, want %d", c.mayUse, got, c.want)
		}
	}
	silent := tree(t, map[string]string{"proc/cpuinfo": "processor\t: 0\n\nprocessor\t: 1\n"})
	if got := physical(silent, func(int) bool { return true }, 2); got != 2 {
		t.Errorf("without core ids %d, want one a processor", got)
	}
	if got := cpuName(root); got != "A Processor @ 2.0GHz" {
		t.Errorf("name %q", got)
	}
	if got := cpuName(silent); got != runtime.GOARCH {
		t.Errorf("name %q, want the architecture", got)
	}
}

func TestQuota(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"none":      {nil, 0},
		"max":       {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, 0},
		"two":       {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "200000 100000\n"}, 2},
		"and a bit": {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "210000 100000\n"}, 3},
		"outer":     {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "800000 100000\n", "sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1},
		"version 1": {map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "400000\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"}, 4},
		"v1 none":   {map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"}, 0},
	} {
		if got := cpuQuota(tree(t, c.files)); got != c.want {
			t.Errorf("%s: %d processors, want %d", name, got, c.want)
		}
	}
}

// TestThisHost reads the machine that the test runs on.
func TestThisHost(t *testing.T) {
	h := Open(Providers(), slog.New(slog.DiscardHandler))
	defer h.Close()
	found := h.Devices()
	if len(found) == 0 || len(found) > len(Providers()) {
		t.Fatalf("%d devices, want the processor and a GPU at most", len(found))
	}
	d := found[0]
	if d.GetId() != CPUDevice || d.GetKind() != "cpu" || d.GetName() == "" || d.GetCores() == 0 || d.GetCores() > uint32(runtime.NumCPU()) {
		t.Errorf("found %v", d)
	}
	if d.GetMemoryTotal() < 64<<20 || d.GetMemoryFree() > d.GetMemoryTotal() {
		t.Errorf("memory %d, free %d", d.GetMemoryTotal(), d.GetMemoryFree())
	}
	if again := h.Devices()[0]; again.GetMemoryTotal() != d.GetMemoryTotal() {
		t.Errorf("the total changed from %d to %d", d.GetMemoryTotal(), again.GetMemoryTotal())
	}
}

func TestHostOfSeveralProbes(t *testing.T) {
	gpu := NewFake("cuda", &wire.Device{Id: "GPU-1", Kind: "cuda", MemoryTotal: 100, MemoryFree: 90})
	broken := NewCPU(t.TempDir())
	h := Open([]Probe{broken, gpu}, slog.New(slog.DiscardHandler))
	defer h.Close()
	free := func() uint64 {
		t.Helper()
		found := h.Devices()
		if len(found) != 1 || found[0].GetId() != "GPU-1" {
			t.Fatalf("found %v; a probe that fails must not hide the others", found)
		}
		return found[0].GetMemoryFree()
	}
	if got := free(); got != 90 {
		t.Errorf("%d free, want 90", got)
	}
	gpu.SetFree("GPU-1", 500)
	if got := free(); got != 100 {
		t.Errorf("%d free of 100", got)
	}
	gpu.Break("GPU-1", errors.New("fell off the bus"))
	if got := free(); got != 0 {
		t.Errorf("%d free on a device that does not work", got)
	}
}

func TestUnknownDevice(t *testing.T) {
	for _, p := range []Probe{NewCPU("/"), NewFake("cuda")} {
		if _, err := p.Free("none"); !errors.Is(err, ErrNoDevice) {
			t.Errorf("%s: %v", p.Kind(), err)
		}
	}
}
