package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// driverVersion is where the driver's kernel module says what it is.
const driverVersion = "/proc/driver/nvidia/version"

var versionNumber = regexp.MustCompile(`\b\d{3}\.\d+(\.\d+)?\b`)

// gpuState says driver and clocks of what a backend runs on, as far as is known: clocks
// come from nvidia-smi, where there is one.
func gpuState(backend string) (driver, clocks string) {
	if backend != "cuda" {
		return "", ""
	}
	if text, err := os.ReadFile(driverVersion); err == nil {
		if v := versionNumber.FindString(string(text)); v != "" {
			driver = "driver " + v
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--id=0", "--query-gpu=clocks.sm,clocks.mem", "--format=csv,noheader").Output()
	if sm, memory, ok := strings.Cut(strings.TrimSpace(string(out)), ", "); err == nil && ok {
		clocks = "SM " + sm + ", memory " + memory
	}
	return driver, clocks
}
