// Package gpu runs engines on the CUDA library, which it loads at run time: one
// binary serves hosts with a GPU and hosts without.
//
// [Open] looks for libnanofleet_cuda.so and keeps it for the process's life. That it
// is absent, that there is no driver or no GPU, and that the library is of another
// ABI are normal answers, each an error of its own type or code that says what was
// found and what to do. [Probe] describes the devices, [New] makes an engine, and
// [Available] says whether New has a chance, without loading anything onto a device.
package gpu
