/* A libcuda.so.1 for what a GPU host cannot provoke: VERSION is the CUDA version it
 * reports, INIT what cuInit answers, MAJOR the compute capability of its one GPU. */
#include <string.h>

int cuDriverGetVersion(int *v) { return *v = VERSION, 0; }
int cuInit(unsigned flags) { return (void)flags, INIT; }
int cuDeviceGetCount(int *n) { return *n = DEVICES, 0; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
int cuDeviceGetName(char *name, int len, int device) { return (void)device, strncpy(name, "Pretended GPU", len), 0; }
int cuDeviceGetAttribute(int *v, int attribute, int device) { return (void)device, *v = attribute == 75 ? MAJOR : 0, 0; }
int cuDeviceTotalMem_v2(unsigned long *bytes, int device) { return (void)device, *bytes = 1ul << 36, 0; }
int cuDeviceGetPCIBusId(char *id, int len, int device) { return (void)device, strncpy(id, "0000:ff:1f.7", len), 0; }
