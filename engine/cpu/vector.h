/* Eight floats at a time, in terms every instruction set compiles; included once by
 * each gemm_*.c after its target is set. */
#include <math.h>
#include <string.h>

typedef float v8 __attribute__((vector_size(32)));
typedef int32_t i8x __attribute__((vector_size(32)));

#define INLINE static inline __attribute__((always_inline))

INLINE v8 load(const float *p) { v8 v; memcpy(&v, p, sizeof v); return v; }
INLINE void keep(float *p, v8 v) { memcpy(p, &v, sizeof v); }
INLINE v8 all(float x) { return (v8){x, x, x, x, x, x, x, x}; }
INLINE float total(v8 v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }
INLINE v8 pick(i8x m, v8 a, v8 b) { return (v8)((m & (i8x)a) | (~m & (i8x)b)); }
INLINE v8 greater(v8 a, v8 b) { return pick(a > b, a, b); }

INLINE v8 bfloats(const uint16_t *p) {
  i8x v;
  for (int i = 0; i < 8; i++) v[i] = (int32_t)((uint32_t)p[i] << 16);
  return (v8)v;
}

#ifdef HAVE_F16C
INLINE v8 halves(const void *p) { return (v8)_mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE void keep_halves(void *p, v8 v) { _mm_storeu_si128(p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT)); }
INLINE v8 fma8(v8 a, v8 b, v8 c) { return (v8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#else
INLINE v8 halves(const void *p) {
  v8 v;
  for (int i = 0; i < 8; i++) v[i] = nfc_half(((const uint16_t *)p)[i]);
  return v;
}
INLINE void keep_halves(void *p, v8 v) {
  for (int i = 0; i < 8; i++) ((uint16_t *)p)[i] = nfc_to_half(v[i]);
}
INLINE v8 fma8(v8 a, v8 b, v8 c) { return a * b + c; }
#endif

/* e^x: x = n ln 2 + r, a polynomial in r, and n in the exponent. */
INLINE v8 exp8(v8 x) {
  x = pick(x > all(88), all(88), x);
  x = pick(x < all(-87), all(-87), x);
  const v8 magic = all(12582912.0f);
  v8 n = (x * all(1.44269504f) + magic) - magic;
  v8 r = x - n * all(0.693145752f) - n * all(1.42860677e-6f);
  v8 y = all(1.0f / 720);
  y = y * r + all(1.0f / 120);
  y = y * r + all(1.0f / 24);
  y = y * r + all(1.0f / 6);
  y = y * r + all(0.5f);
  y = y * r + all(1);
  y = y * r + all(1);
  i8x power = (__builtin_convertvector(pick(n == n, n, all(0)), i8x) + 127) << 23;
  return y * (v8)power;
}

INLINE v8 silu8(v8 x) { return x / (all(1) + exp8(-x)); }

/* x/2 (1 + tanh z) = x - x / (e^2z + 1). */
INLINE v8 gelu8(v8 x) {
  v8 z = all(0.797884561f) * (x + all(0.044715f) * x * x * x);
  return x - x / (exp8(z + z) + all(1));
}
