/* NVIDIA's driver as a few lines: it answers what a start asks, so that errors
 * can be tested without a GPU. FAKE_CUDA says what is wrong: old, no_device,
 * broken, chip, memory; else nothing. FAKE_GPUS is their number, 1 without it. */

#include <stdlib.h>
#include <string.h>

static int is(const char *what) {
  const char *chosen = getenv("FAKE_CUDA");
  return chosen && strcmp(chosen, what) == 0;
}

int cuInit(unsigned flags) { return is("broken") ? 999 : 0; }
int cuDriverGetVersion(int *version) {
  *version = is("old") ? 11040 : 13000;
  return 0;
}
int cuGetErrorName(int error, const char **name) {
  *name = "CUDA_ERROR_FAKE";
  return 0;
}
int cuGetErrorString(int error, const char **text) {
  *text = "a made-up failure";
  return 0;
}
int cuDeviceGetCount(int *count) {
  const char *gpus = getenv("FAKE_GPUS");
  *count = is("no_device") ? 0 : gpus ? atoi(gpus) : 1;
  return 0;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return 0;
}
int cuDeviceGetUuid_v2(char *uuid, int device) {
  memset(uuid, device, 16);
  return 0;
}
int cuDeviceGetName(char *name, int length, int device) {
  strcpy(name, "Fake GPU");
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  /* 75 and 76 are the two parts of the compute capability. */
  *value = attribute == 75 ? (is("chip") ? 8 : 9) : 0;
  return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  *bytes = (size_t)1 << 30;
  return 0;
}
int cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = is("memory") ? 1000 : (size_t)1 << 30;
  *total = (size_t)1 << 30;
  return 0;
}

/* The program's memory is the host's. */
int cuMemAlloc_v2(void **pointer, size_t bytes) { return (*pointer = calloc(1, bytes)) == 0; }
int cuMemFree_v2(void *pointer) {
  free(pointer);
  return 0;
}
int cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  return cuMemAlloc_v2(pointer, bytes);
}
int cuMemFreeHost(void *pointer) { return cuMemFree_v2(pointer); }
static int copy(void *to, const void *from, size_t bytes, void *stream) {
  memcpy(to, from, bytes);
  return 0;
}
int cuMemcpyHtoDAsync_v2(void *a, const void *b, size_t n, void *s) { return copy(a, b, n, s); }
int cuMemcpyDtoHAsync_v2(void *a, const void *b, size_t n, void *s) { return copy(a, b, n, s); }
int cuMemcpyDtoDAsync_v2(void *a, const void *b, size_t n, void *s) { return copy(a, b, n, s); }
int cuMemsetD8Async(void *to, unsigned char value, size_t bytes, void *stream) {
  memset(to, value, bytes);
  return 0;
}

/* All else succeeds and does nothing. */
#define NOTHING(name)                                                                              \
  int name() { return 0; }
NOTHING(cuDevicePrimaryCtxRetain)
NOTHING(cuDevicePrimaryCtxRelease_v2)
NOTHING(cuCtxSetCurrent)
NOTHING(cuStreamCreate)
NOTHING(cuStreamCreateWithPriority)
NOTHING(cuCtxGetStreamPriorityRange)
NOTHING(cuStreamDestroy_v2)
NOTHING(cuStreamSynchronize)
NOTHING(cuStreamWaitEvent)
NOTHING(cuStreamBeginCapture_v2)
NOTHING(cuStreamEndCapture)
NOTHING(cuGraphInstantiateWithFlags)
NOTHING(cuGraphUpload)
NOTHING(cuGraphLaunch)
NOTHING(cuGraphExecDestroy)
NOTHING(cuGraphDestroy)
NOTHING(cuEventCreate)
NOTHING(cuEventDestroy_v2)
NOTHING(cuEventRecord)
NOTHING(cuEventRecordWithFlags)
NOTHING(cuEventSynchronize)
NOTHING(cuEventQuery)
NOTHING(cuEventElapsedTime)
NOTHING(cuModuleLoadDataEx)
NOTHING(cuModuleUnload)
NOTHING(cuModuleGetFunction)
NOTHING(cuFuncSetAttribute)
NOTHING(cuLaunchKernel)
