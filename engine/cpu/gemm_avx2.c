/* The kernels for AVX2, FMA and F16C. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c")
#include <immintrin.h>
#include "internal.h"

#define HAVE_F16C 1
#define KERNELS nfc_kernels_avx2
#define ISA "avx2"
#include "kernels.h"
#endif
