package main

import (
	"math"
	"strconv"
	"strings"
)

// parseTokens reads a number of tokens: 32768, 32k or 32Ki, where k means 1024 as it
// does in the names of models.
func parseTokens(flag, s string) (uint32, error) {
	n, err := scaled(s, map[string]float64{"": 1, "k": 1 << 10, "ki": 1 << 10, "m": 1 << 20, "mi": 1 << 20})
	if err || n < 1 || n > math.MaxUint32 {
		return 0, usagef("%s %q: want a number of tokens from 1 on, as in 32768, 32k or 128Ki", flag, s)
	}
	return uint32(n), nil
}

// parseBytes reads a size: 24GiB, 24G, 800MB or bytes.
func parseBytes(flag, s string) (uint64, error) {
	units := map[string]float64{"": 1, "b": 1}
	for i, u := range []string{"k", "m", "g", "t"} {
		units[u], units[u+"i"], units[u+"ib"] = math.Pow(1024, float64(i+1)), math.Pow(1024, float64(i+1)), math.Pow(1024, float64(i+1))
		units[u+"b"] = math.Pow(1000, float64(i+1))
	}
	n, err := scaled(s, units)
	if err || n < 1 || n > 1<<60 {
		return 0, usagef("%s %q: want a size in bytes from 1 on, as in 24GiB", flag, s)
	}
	return uint64(n), nil
}

// scaled reads a number and its unit; bad tells of anything else.
func scaled(s string, units map[string]float64) (n float64, bad bool) {
	s = strings.TrimSpace(s)
	end := strings.LastIndexAny(s, "0123456789.") + 1
	unit, known := units[strings.ToLower(strings.TrimSpace(s[end:]))]
	n, err := strconv.ParseFloat(s[:end], 64)
	n *= unit
	return math.Floor(n), err != nil || !known || n < 0 || n != math.Floor(n)
}

// tokensFlag is a flag that takes what parseTokens reads.
type tokensFlag struct{ n *uint32 }

// Set reads a number of tokens.
func (f tokensFlag) Set(s string) (err error) {
	*f.n, err = parseTokens("", s)
	return err
}

// Type is the name of what it takes.
func (f tokensFlag) Type() string { return "tokens" }

func (f tokensFlag) String() string { return written(f.n) }

// bytesFlag is a flag that takes what parseBytes reads.
type bytesFlag struct{ n *uint64 }

// Set reads a size.
func (f bytesFlag) Set(s string) (err error) {
	*f.n, err = parseBytes("", s)
	return err
}

// Type is the name of what it takes.
func (f bytesFlag) Type() string { return "size" }

func (f bytesFlag) String() string { return written(f.n) }

// written is a number as flags show it: one that was not given is not.
func written[N uint32 | uint64](n *N) string {
	if n == nil || *n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*n), 10)
}
