package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestParseTokens(t *testing.T) {
	for s, want := range map[string]uint32{"1": 1, "32768": 32768, "32k": 32768, "32K": 32768, "128Ki": 131072, "1M": 1 << 20, "1.5k": 1536} {
		if got, err := parseTokens("--context", s); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "-1", "k", "32x", "0.3", "99999M", "32 k k", "NaN", "Inf"} {
		if got, err := parseTokens("--context", s); err == nil || !strings.Contains(err.Error(), "32k") {
			t.Errorf("%q: %d, %v; want a refusal", s, got, err)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]uint64{"1": 1, "10b": 10, "24GiB": 24 << 30, "24G": 24 << 30, "24gi": 24 << 30, "800MB": 800e6, "1.5TiB": 3 << 39, "64 KiB": 64 << 10} {
		if got, err := parseBytes("--memory", s); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "-1GiB", "GiB", "24 XB", "0.1", "9999999TiB"} {
		if got, err := parseBytes("--memory", s); err == nil || !strings.Contains(err.Error(), "24GiB") {
			t.Errorf("%q: %d, %v; want a refusal", s, got, err)
		}
	}
}

func TestMeter(t *testing.T) {
	var out bytes.Buffer
	m := &meter{w: &out, every: time.Second}
	at := time.Unix(1000, 0)
	m.step(at, "fetch", 1<<30, 4<<30) // a GiB was here from an earlier run
	m.step(at.Add(500*time.Millisecond), "fetch", 1<<30+1, 4<<30)
	m.step(at.Add(2*time.Second), "fetch", 2<<30, 4<<30)
	m.step(at.Add(3*time.Second), "hash", 0, 4<<30)
	m.step(at.Add(5*time.Second), "hash", 0, 4<<30)
	want := "fetch  50%  2.0 GiB of 4.0 GiB  512.0 MiB/s  4s left\nhash    0%  0 B of 4.0 GiB\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	out.Reset()
	m.clear()
	if out.Len() > 0 {
		t.Errorf("a log got %q", out.String())
	}
}

func TestNameOf(t *testing.T) {
	for ref, want := range map[string]string{"a/B.gguf": "b", "x/m-00001-of-00002.gguf": "m", "/models/Qwen3-8B/": "qwen3-8b", "hf:Qwen/Qwen3-8B": "qwen3-8b", "ollama:a:b": "a-b"} {
		if got := nameOf(ref); got != want {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}

// The cards whose reserve was measured have what CUDA said there.
func TestCards(t *testing.T) {
	for name, want := range map[string]uint64{"h100": 85017493504, "h200": 150109880320} {
		got := cards[name].memory()
		if got > want || want-got > 2<<20 { // NVML rounds to MiB
			t.Errorf("%s: %d, CUDA says %d", name, got, want)
		}
	}
	for name, c := range cards {
		if c.memory() >= c.nvml<<20 || c.speed < 100 || c.memory() < 16<<30 {
			t.Errorf("%s: %+v has %d bytes", name, c, c.memory())
		}
	}
}

// What a file says does not steer the terminal.
func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc\u009bd é"); got != "a [2Jb c d é" {
		t.Errorf("%q", got)
	}
}

// TestCardSpeed knows devices by the names that drivers give them.
func TestCardSpeed(t *testing.T) {
	for name, want := range map[string]float64{
		"NVIDIA H100 80GB HBM3": 3090, "NVIDIA H100 PCIe": 2039, "NVIDIA H100 NVL": 3938, "NVIDIA H200": 4800, "NVIDIA A100-SXM4-80GB": 2039, "NVIDIA A100 80GB PCIe": 2039,
		"NVIDIA L4": 300, "NVIDIA L40S": 864, "NVIDIA GeForce RTX 4090": 1008, "AMD EPYC": 0, "": 0,
	} {
		if got := cardSpeed(name); got != want {
			t.Errorf("%q reads %v GB/s, want %v", name, got, want)
		}
	}
	for _, d := range driverNames {
		if _, ok := cards[d.card]; !ok {
			t.Errorf("%v is card %q, which is not known", d.words, d.card)
		}
	}
}

func TestGPUState(t *testing.T) {
	if got, want := clocksOf("1980 MHz, 1980 MHz, 2619 MHz, 2619 MHz\n"), "SM 1980 MHz of at most 1980 MHz, memory 2619 MHz of at most 2619 MHz"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := clocksOf("No devices were found"); got != "" {
		t.Errorf("no clocks are %q", got)
	}
	if v := versionNumber.FindString("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build"); v != "580.159.04" {
		t.Errorf("version %q", v)
	}
	if driver, clocks := gpuState("cpu"); driver != "" || clocks != "" {
		t.Errorf("of the CPU: %q, %q", driver, clocks)
	}
}
