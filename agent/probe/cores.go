package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// usableCores counts the physical cores that this process may use: those of its
// affinity, no more than its CPU quota.
func usableCores(root string) (uint32, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("probe: affinity: %w", err)
	}
	n := physical(root, set.IsSet, set.Count())
	if quota := cpuQuota(root); quota > 0 {
		n = min(n, quota)
	}
	return uint32(max(n, 1)), nil
}

// physical counts cores among the processors that may be used; two threads of one
// core count once. Where the kernel does not tell, each processor is a core.
func physical(root string, mayUse func(cpu int) bool, fallback int) int {
	info, err := readCPUInfo(root)
	if err != nil {
		return fallback
	}
	cores := map[[2]string]bool{}
	for _, p := range info {
		cpu, err := strconv.Atoi(p["processor"])
		if err != nil || p["core id"] == "" {
			return fallback
		}
		if mayUse(cpu) {
			cores[[2]string{p["physical id"], p["core id"]}] = true
		}
	}
	if len(cores) == 0 {
		return fallback
	}
	return len(cores)
}

// cpuQuota is how many processors' worth of time the cgroups allow, rounded up; 0
// without a limit.
func cpuQuota(root string) (cpus int) {
	for _, g := range cgroups(root, "cpu") {
		quota, period, ok := g.quota()
		if !ok {
			continue
		}
		if n := int((quota + period - 1) / period); cpus == 0 || n < cpus {
			cpus = n
		}
	}
	return cpus
}

func (g cgroup) quota() (quota, period uint64, ok bool) {
	if b, err := os.ReadFile(filepath.Join(g.dir, "cpu.max")); err == nil {
		fields := strings.Fields(string(b))
		if len(fields) != 2 {
			return 0, 0, false
		}
		quota, err1 := strconv.ParseUint(fields[0], 10, 64) // "max" is no number
		period, err2 := strconv.ParseUint(fields[1], 10, 64)
		return quota, period, err1 == nil && err2 == nil && quota > 0 && period > 0
	}
	quota, ok1 := g.number("cpu.cfs_quota_us") // -1 is no limit
	period, ok2 := g.number("cpu.cfs_period_us")
	return quota, period, ok1 && ok2 && quota > 0 && period > 0
}

// readCPUInfo reads /proc/cpuinfo: one map a processor.
func readCPUInfo(root string) ([]map[string]string, error) {
	b, err := os.ReadFile(filepath.Join(root, "proc/cpuinfo"))
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	var out []map[string]string
	for block := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n\n") {
		p := map[string]string{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(line, ":")
			p[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		out = append(out, p)
	}
	return out, nil
}
