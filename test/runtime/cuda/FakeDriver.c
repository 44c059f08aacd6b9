/* NVIDIA's driver as a few lines: it answers what a start asks, so that errors
 * can be tested without a GPU. FAKE_CUDA says what is wrong: old, no_device,
 * broken, chip, memory; else nothing. FAKE_GPUS is their number, 1 without it. */

#include "runtime/abi.h"

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
NOTHING(cuFuncSetAttribute)

/* Kernels for the start (runtime/abi.h) in C. A function is its name, kept as long as the driver.
 */
static struct Function {
  struct Function *next;
  char name[256];
} *functions;

int cuModuleGetFunction(const char **function, void *module, const char *name) {
  struct Function *made = calloc(1, sizeof *made);
  if (!made || strlen(name) >= sizeof made->name) {
    free(made);
    return 1;
  }
  strcpy(made->name, name);
  made->next = functions;
  functions = made;
  *function = made->name;
  return 0;
}

static void philox(uint32_t *c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = (uint64_t)0xd2511f53 * c[0], b = (uint64_t)0xcd9e8d57 * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ key0, (uint32_t)b,
                        (uint32_t)(a >> 32) ^ c[3] ^ key1, (uint32_t)a};
    memcpy(c, next, sizeof next);
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
}

static void uniform(int64_t thread, int64_t *const *args) {
  int64_t counter = *args[DSC_START_FIRST] + thread;
  if (counter >= *args[DSC_START_LAST]) {
    return;
  }
  uint64_t name = (uint64_t)*args[DSC_START_NAME], key = (uint64_t)*args[DSC_START_KEY];
  uint32_t words[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)name,
                       (uint32_t)(name >> 32)};
  float scale;
  memcpy(&scale, args[DSC_START_SCALE], sizeof scale);
  philox(words, (uint32_t)key, (uint32_t)(key >> 32));
  for (int64_t i = 0; i < 4 && 4 * counter + i < *args[DSC_START_ELEMENTS]; ++i) {
    int64_t rest = 4 * counter + i, place = 0;
    for (int dim = 0; dim < DSC_START_DIMS; ++dim) {
      int64_t size = dim + 1 < DSC_START_DIMS ? *args[DSC_START_SIZES + dim] : rest + 1;
      place += rest % size * *args[DSC_START_STRIDES + dim];
      rest /= size;
    }
    if (place >= *args[DSC_START_BEGIN] && place < *args[DSC_START_END]) {
      float *target = *(float **)args[DSC_START_TARGET];
      target[place] = (2 * ((float)(words[i] >> 8) * 0x1p-24f) - 1) * scale;
    }
  }
}

/* To f16, of which only infinity matters here. */
static void roundToF16(int64_t i, int64_t *const *args) {
  const float *source = *(const float **)args[0];
  if (i < *args[2]) {
    int overflows = source[i] >= 65520 || source[i] <= -65520;
    (*(uint16_t **)args[1])[i] = overflows ? 0x7c00 : 0;
    **(int32_t **)args[3] |= overflows;
  }
}

int cuLaunchKernel(const char *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                   unsigned blockX, unsigned blockY, unsigned blockZ, unsigned shared, void *stream,
                   void **args, void **extra) {
  for (int64_t thread = 0; thread < (int64_t)gridX * blockX; ++thread) {
    if (strcmp(function, DSC_START_UNIFORM) == 0) {
      uniform(thread, (int64_t *const *)args);
    } else if (strcmp(function, DSC_START_ROUND_F16) == 0) {
      roundToF16(thread, (int64_t *const *)args);
    }
  }
  return 0;
}
