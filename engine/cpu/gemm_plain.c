/* The kernels in C that any processor runs. */
#include "internal.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define KERNELS nfc_kernels_plain
#define ISA "plain"
#include "kernels.h"
