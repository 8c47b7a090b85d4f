package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// driverVersion is where the driver's kernel module says what it is.
const driverVersion = "/proc/driver/nvidia/version"

var versionNumber = regexp.MustCompile(`\b\d{3}\.\d+(\.\d+)?\b`)

// gpuState says driver and clocks of what a backend runs on, as far as is known. Clocks
// come from nvidia-smi, where there is one, which is not asked while anything is measured:
// it would be in the way.
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
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--id=0", "--query-gpu=clocks.sm,clocks.max.sm,clocks.mem,clocks.max.mem", "--format=csv,noheader").Output()
	if err == nil {
		clocks = clocksOf(string(out))
	}
	return driver, clocks
}

// clocksOf reads what nvidia-smi says: clocks as they are, and the highest.
func clocksOf(line string) string {
	c := strings.Split(strings.TrimSpace(line), ", ")
	if len(c) != 4 {
		return ""
	}
	return fmt.Sprintf("SM %s of at most %s, memory %s of at most %s", c[0], c[1], c[2], c[3])
}
