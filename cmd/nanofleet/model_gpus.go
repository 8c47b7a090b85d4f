package main

import (
	"maps"
	"slices"
	"strings"
)

// card is a GPU that one can plan for. Of its memory CUDA sees what NVML calls total
// less what the driver reserves.
type card struct {
	nvml     uint64 // MiB, as NVML reports
	reserved uint64 // MiB, as NVML reports; 0 where it was not measured
	speed    uint64 // of memory, GB/s, from the data sheet
}

// cards by the names that people use.
var cards = map[string]card{
	"h100":       {81559, 480, 3350}, // SXM
	"h100-pcie":  {81559, 0, 2039},
	"h100-nvl":   {95830, 0, 3938},
	"h200":       {143771, 616, 4800},
	"gh200":      {97871, 0, 4000},
	"b200":       {183359, 0, 8000},
	"a100-80g":   {81920, 0, 2039},
	"a100-40g":   {40960, 0, 1555},
	"a40":        {46068, 0, 696},
	"a10":        {23028, 0, 600},
	"l40s":       {46068, 0, 864},
	"l40":        {46068, 0, 864},
	"l4":         {23034, 0, 300},
	"rtx5090":    {32607, 0, 1792},
	"rtx4090":    {24564, 0, 1008},
	"rtx3090":    {24576, 0, 936},
	"rtx6000ada": {49140, 0, 960},
	"rtxa6000":   {49140, 0, 768},
	"rtxpro6000": {97887, 0, 1792},
}

// memory is what CUDA sees, in bytes. Where the reserve was not measured it is taken
// for the most that was seen elsewhere: 1 % and at least 512 MiB.
func (c card) memory() uint64 {
	reserved := c.reserved
	if reserved == 0 {
		reserved = max(512, c.nvml/100)
	}
	return (c.nvml - reserved) << 20
}

// driverNames are words by which a driver names a card, the most telling first, and what
// it reads, GB/s: as measured, else from the data sheet.
var driverNames = []struct {
	words []string
	card  string
	reads float64 // 0 = the data sheet's
}{
	{[]string{"H100", "NVL"}, "h100-nvl", 0}, {[]string{"H100", "PCIe"}, "h100-pcie", 0}, {[]string{"H100"}, "h100", 3090},
	{[]string{"H200"}, "h200", 0}, {[]string{"GH200"}, "gh200", 0}, {[]string{"B200"}, "b200", 0},
	{[]string{"A100", "80GB"}, "a100-80g", 0}, {[]string{"A100"}, "a100-40g", 0},
	{[]string{"L40S"}, "l40s", 0}, {[]string{"L40"}, "l40", 0}, {[]string{"L4"}, "l4", 0}, {[]string{"A40"}, "a40", 0}, {[]string{"A10"}, "a10", 0},
	{[]string{"RTX", "5090"}, "rtx5090", 0}, {[]string{"RTX", "4090"}, "rtx4090", 0}, {[]string{"RTX", "3090"}, "rtx3090", 0},
	{[]string{"RTX", "6000", "Ada"}, "rtx6000ada", 0}, {[]string{"RTX", "A6000"}, "rtxa6000", 0}, {[]string{"RTX", "PRO", "6000"}, "rtxpro6000", 0},
}

// cardSpeed is what the device of a name reads, GB/s; 0 when it is not known.
func cardSpeed(device string) float64 {
	words := strings.FieldsFunc(device, func(r rune) bool { return r == ' ' || r == '-' })
	for _, d := range driverNames {
		if slices.ContainsFunc(d.words, func(w string) bool { return !slices.Contains(words, w) }) {
			continue
		}
		if d.reads > 0 {
			return d.reads
		}
		return float64(cards[d.card].speed)
	}
	return 0
}

func cardNames() string { return strings.Join(slices.Sorted(maps.Keys(cards)), ", ") }
