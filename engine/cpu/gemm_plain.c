/* The kernels in C that any processor runs. */
#include "internal.h"

#define KERNELS nfc_kernels_plain
#define ISA "plain"
#include "kernels.h"
