// Single PTX instructions that CUDA C++ has no name for.
#pragma once

#include <stdint.h>

namespace nf {

// The kernel queued behind this one may start; it waits for this one's end all the same.
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Every kernel queued before has ended, and what it wrote is to be seen.
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Both, for a kernel that has nothing to do in between.
__device__ __forceinline__ void follow() {
  let_next_start();
  wait_for_previous();
}

// Sixteen bytes, the widest load and store of one thread.
struct alignas(16) vec16 {
  uint32_t word[4];
};

// Loads data that is read once: it does not displace what L1 holds. Not the
// read-only path (ld.global.nc), which may see stale data when an earlier kernel of
// the same chain is still writing.
__device__ __forceinline__ vec16 load_once(const void *p) {
  vec16 v;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(p)
               : "memory");
  return v;
}

// The same, or zeros where there is nothing to load; without a branch, so that several
// can be on their way at once.
__device__ __forceinline__ vec16 load_once_if(const void *p, bool there) {
  vec16 v;
  asm volatile(
      "{ .reg .pred q; setp.ne.u32 q, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;"
      " @q ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(v.word[0]), "=&r"(v.word[1]), "=&r"(v.word[2]), "=&r"(v.word[3])
      : "l"(p), "r"(static_cast<uint32_t>(there))
      : "memory");
  return v;
}

// Half as much.
__device__ __forceinline__ uint2 load_once_if(const uint2 *p, bool there) {
  uint2 v;
  asm volatile(
      "{ .reg .pred q; setp.ne.u32 q, %3, 0; mov.u32 %0, 0; mov.u32 %1, 0;"
      " @q ld.global.L1::no_allocate.v2.u32 {%0, %1}, [%2]; }"
      : "=&r"(v.x), "=&r"(v.y)
      : "l"(p), "r"(static_cast<uint32_t>(there))
      : "memory");
  return v;
}

__device__ __forceinline__ vec16 load_if(const void *p, bool there) {
  vec16 v;
  asm volatile(
      "{ .reg .pred q; setp.ne.u32 q, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;"
      " @q ld.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(v.word[0]), "=&r"(v.word[1]), "=&r"(v.word[2]), "=&r"(v.word[3])
      : "l"(p), "r"(static_cast<uint32_t>(there))
      : "memory");
  return v;
}

// The same from any memory.
__device__ __forceinline__ vec16 load_any_if(const void *p, bool there) {
  vec16 v;
  asm volatile(
      "{ .reg .pred q; setp.ne.u32 q, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;"
      " @q ld.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "=&r"(v.word[0]), "=&r"(v.word[1]), "=&r"(v.word[2]), "=&r"(v.word[3])
      : "l"(p), "r"(static_cast<uint32_t>(there))
      : "memory");
  return v;
}

// Loads data that many blocks read, such as a norm's weight.
__device__ __forceinline__ vec16 load_shared_by_blocks(const void *p) {
  return *static_cast<const vec16 *>(p);
}

__device__ __forceinline__ void store(void *p, const vec16 &v) { *static_cast<vec16 *>(p) = v; }

// Copies the first `bytes` of sixteen to shared memory, and zeros for the rest, while the
// thread goes on.
__device__ __forceinline__ void copy_first_of(uint32_t shared, const void *from, uint32_t bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
}

// Ends a group of a thread's copies.
__device__ __forceinline__ void copies_end() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all of the thread's groups but the last N have arrived.
template <int N>
__device__ __forceinline__ void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

}  // namespace nf
