package probe

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory in bytes.
type memory struct{ total, free uint64 }

// readMemory is the host's memory, or what the cgroups above this process leave of it.
func readMemory(root string) (memory, error) {
	path := filepath.Join(root, "proc/meminfo")
	b, err := os.ReadFile(path)
	if err != nil {
		return memory{}, fmt.Errorf("probe: %w", err)
	}
	m := memory{total: meminfo(b, "MemTotal"), free: meminfo(b, "MemAvailable")}
	if m.total == 0 {
		return memory{}, fmt.Errorf("probe: %s has no MemTotal", path)
	}
	for _, g := range cgroups(root, "memory") {
		m = g.bound(m)
	}
	return m, nil
}

// meminfo finds a value of /proc/meminfo; 0 when it is not there.
func meminfo(b []byte, key string) uint64 {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ":")
		if fields := strings.Fields(rest); name == key && len(fields) > 0 {
			kib, err := strconv.ParseUint(fields[0], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// bound narrows memory to what a cgroup allows. Page cache that belongs to the group
// is given up when memory is needed, so it counts as free.
func (g cgroup) bound(m memory) memory {
	limit, ok := g.number("memory.max", "memory.limit_in_bytes")
	if !ok || limit >= m.total {
		return m
	}
	m.total = limit
	used, ok := g.number("memory.current", "memory.usage_in_bytes")
	if !ok {
		return memory{m.total, min(m.free, limit)}
	}
	used -= min(used, g.stat("inactive_file"))
	m.free = min(m.free, limit-min(limit, used))
	return m
}

// cgroup is a directory of the cgroup file system.
type cgroup struct{ dir string }

// cgroups are the groups that hold this process, for version 2 and for a controller
// of version 1, from the innermost outwards. Within a container the outer ones are
// not visible, and need not be.
func cgroups(root, controller string) (groups []cgroup) {
	b, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount := filepath.Join(root, "sys/fs/cgroup")
		switch {
		case parts[0] == "0" && parts[1] == "":
		case contains(parts[1], controller):
			mount = filepath.Join(mount, controller)
		default:
			continue
		}
		groups = append(groups, upwards(mount, parts[2])...)
	}
	return groups
}

func contains(list, item string) bool {
	for s := range strings.SplitSeq(list, ",") {
		if s == item {
			return true
		}
	}
	return false
}

func upwards(mount, path string) (groups []cgroup) {
	for path = filepath.Clean("/" + path); ; path = filepath.Dir(path) {
		groups = append(groups, cgroup{filepath.Join(mount, path)})
		if path == "/" {
			return groups
		}
	}
}

// number reads the first of the files that is there; not ok when none is, or when it
// sets no limit.
func (g cgroup) number(names ...string) (n uint64, ok bool) {
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// stat reads a value of memory.stat; 0 when it is not there.
func (g cgroup) stat(key string) uint64 {
	b, err := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == key {
			n, _ := strconv.ParseUint(value, 10, 64)
			return n
		}
	}
	return 0
}
