/* The kernels for AVX-512 with VNNI, on 256-bit registers. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#include <immintrin.h>
#include "internal.h"

#define HAVE_F16C 1
#define HAVE_VNNI 1
#define KERNELS nfc_kernels_avx512
#define ISA "avx512"
#include "kernels.h"
#endif
