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

func cardNames() string { return strings.Join(slices.Sorted(maps.Keys(cards)), ", ") }
