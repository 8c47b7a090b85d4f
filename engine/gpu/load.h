/* Loading the library and asking for its function table. */
#ifndef NF_GPU_LOAD_H
#define NF_GPU_LOAD_H

#include <dlfcn.h>

#include "nanofleet.h"

/* The most ABI number that is tried when the wanted one is refused, to name the
 * library's own. */
enum { NFG_ABI_TRIED = 64 };

typedef const nf_api *(*nfg_open)(uint32_t);

/* Both answer NULL with *error set to dlerror's text. dlerror is the thread's own, so
 * it is read within the call. A library stays loaded: it may have started threads. */
static inline void *nfg_load(const char *path, const char **error) {
  void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!lib) *error = dlerror();
  return lib;
}

static inline nfg_open nfg_find(void *lib, const char **error) {
  nfg_open open = (nfg_open)dlsym(lib, "nf_open");
  if (!open) *error = dlerror();
  return open;
}

static inline const nf_api *nfg_table(nfg_open open, uint32_t version) { return open(version); }

/* The ABI number the library speaks, 0 when none of those tried. */
static inline uint32_t nfg_speaks(nfg_open open) {
  for (uint32_t v = 1; v <= NFG_ABI_TRIED; v++) {
    const nf_api *api = open(v);
    if (api) return api->abi_version;
  }
  return 0;
}

#endif
