/* A compiled program written by hand: linear regression p = x . w + b on three features, loss
 * mean((p - y)^2), plain SGD, accumulation, evaluation, gradients averaged over ranks. Its manifest
 * is made by TestExecutable. It lets the runner's commands be tested without the compiler. */

#include "runtime/abi.h"

#include <math.h>

#define BATCH 4
#define EXPORTED __attribute__((visibility("default")))

/* Planned offsets; fakeManifest() in TestExecutable.cpp says the same. */
enum {
  STATE_W = 0,
  STATE_B = 64,
  STATE_ACC = 128, /* sums of four gradients and of the loss */
  STATE_LR = 320,
  STATE_MICRO_BATCHES = 384,
  STATE_MICRO_INDEX = 448,
  STATE_STEP = 512,
  STATE_SEED = 576,
  STATE_SAMPLE_BASE = 640,
  ARENA_GRAD_W = 0,
  ARENA_GRAD_B = 64,
  IO_X = 0,
  IO_Y = 64,
  IO_WEIGHT = 128,
  IO_LOSS = 192,
  IO_NORM = 256,
  IO_SKIPPED = 320,
  IO_LOSS_SUM = 384,
  IO_LOSS_WEIGHT = 448,
  IO_PREDICTION = 512
};

static float *at(void *const *spaces, int space, int64_t offset) {
  return (float *)((char *)spaces[space] + offset);
}

EXPORTED int32_t dsc_program_abi_version(void) { return DSC_ABI_VERSION; }

/* Gradients and loss, a chunk each: ranks own some of the five numbers. */
EXPORTED int32_t dsc_program_init(dsc_context *ctx) {
  int32_t failed = 0;
#ifdef DSC_FAKE_CUDA
  failed = dsc_rt_device_module(ctx, 0, 0, "kernels", 7);
  failed = failed ? failed : dsc_rt_device_kernel(ctx, 0, DSC_START_UNIFORM, 32, 0);
  failed = failed ? failed : dsc_rt_device_kernel(ctx, 1, DSC_START_ROUND_F16, 32, 0);
#endif
  failed = failed ? failed
                  : dsc_rt_collective_plan(ctx, 0, DSC_REDUCE_SCATTER_MEAN, DSC_F32, 5, 1,
                                           "reduce_scatter gradients", 0);
  return failed ? failed
                : dsc_rt_collective_plan(ctx, 1, DSC_ALL_GATHER, DSC_F32, 5, 1,
                                         "all_gather gradients", 0);
}

static int32_t averageOverRanks(dsc_context *ctx, float *acc) {
  int32_t failed = dsc_rt_collective_issue(ctx, 1, 0, 0, acc);
  failed = failed ? failed : dsc_rt_collective_wait(ctx, 1, 0);
  failed = failed ? failed : dsc_rt_collective_issue(ctx, 2, 1, 0, acc);
  return failed ? failed : dsc_rt_collective_wait(ctx, 2, 1);
}

/* args: x, w, b, prediction */
static void predict(void *const *args, int64_t begin, int64_t end) {
  const float *x = args[0], *w = args[1], *b = args[2];
  float *prediction = args[3];
  for (int64_t i = begin; i < end; ++i) {
    prediction[i] = x[3 * i] * w[0] + x[3 * i + 1] * w[1] + x[3 * i + 2] * w[2] + b[0];
  }
}

static int32_t runPredict(dsc_context *ctx, void *const *spaces) {
  void *args[4] = {at(spaces, DSC_SPACE_IO, IO_X), at(spaces, DSC_SPACE_STATE, STATE_W),
                   at(spaces, DSC_SPACE_STATE, STATE_B), at(spaces, DSC_SPACE_IO, IO_PREDICTION)};
#ifdef DSC_FAKE_CUDA
  /* A driver made by the test gives host memory for the GPU's. */
  predict(args, 0, BATCH);
  return 0;
#else
  return dsc_rt_parallel_for(ctx, 0, predict, args, BATCH, 1);
#endif
}

static int32_t accumulate(dsc_context *ctx, void *const *spaces) {
  float *acc = at(spaces, DSC_SPACE_STATE, STATE_ACC);
  if (*(int64_t *)at(spaces, DSC_SPACE_STATE, STATE_MICRO_INDEX) == 0) {
    for (int k = 0; k < 5; ++k) {
      acc[k] = 0;
    }
  }
  int32_t failed = runPredict(ctx, spaces);
  if (failed) {
    return failed;
  }
  const float *x = at(spaces, DSC_SPACE_IO, IO_X), *y = at(spaces, DSC_SPACE_IO, IO_Y);
  const float *prediction = at(spaces, DSC_SPACE_IO, IO_PREDICTION);
  for (int i = 0; i < BATCH; ++i) {
    float difference = prediction[i] - y[i];
    for (int k = 0; k < 3; ++k) {
      acc[k] += 2 * difference * x[3 * i + k] / BATCH;
    }
    acc[3] += 2 * difference / BATCH;
    acc[4] += difference * difference / BATCH;
  }
  return 0;
}

EXPORTED int32_t dsc_entry_micro(dsc_context *ctx, void *const *spaces) {
  return accumulate(ctx, spaces);
}

EXPORTED int32_t dsc_entry_last(dsc_context *ctx, void *const *spaces) {
  int32_t failed = accumulate(ctx, spaces);
  if (failed) {
    return failed;
  }
  float *acc = at(spaces, DSC_SPACE_STATE, STATE_ACC);
  failed = averageOverRanks(ctx, acc);
  if (failed) {
    return failed;
  }
  float count = *at(spaces, DSC_SPACE_STATE, STATE_MICRO_BATCHES), norm = 0;
  float *gradW = at(spaces, DSC_SPACE_ARENA, ARENA_GRAD_W);
  float *gradB = at(spaces, DSC_SPACE_ARENA, ARENA_GRAD_B);
  for (int k = 0; k < 4; ++k) {
    float g = acc[k] / count;
    *(k < 3 ? gradW + k : gradB) = g;
    norm += g * g;
  }
  *at(spaces, DSC_SPACE_IO, IO_LOSS) = acc[4] / count;
  *at(spaces, DSC_SPACE_IO, IO_NORM) = sqrtf(norm);
  *at(spaces, DSC_SPACE_IO, IO_SKIPPED) = isfinite(norm) ? 0 : 1;
  return 0;
}

EXPORTED int32_t dsc_entry_last_update(dsc_context *ctx, void *const *spaces) {
  (void)ctx;
  if (*at(spaces, DSC_SPACE_IO, IO_SKIPPED) != 0) {
    return 0;
  }
  float lr = *at(spaces, DSC_SPACE_STATE, STATE_LR);
  for (int k = 0; k < 3; ++k) {
    at(spaces, DSC_SPACE_STATE, STATE_W)[k] -= lr * at(spaces, DSC_SPACE_ARENA, ARENA_GRAD_W)[k];
  }
  *at(spaces, DSC_SPACE_STATE, STATE_B) -= lr * *at(spaces, DSC_SPACE_ARENA, ARENA_GRAD_B);
  return 0;
}

EXPORTED int32_t dsc_entry_eval(dsc_context *ctx, void *const *spaces) {
  int32_t failed = runPredict(ctx, spaces);
  if (failed) {
    return failed;
  }
  const float *y = at(spaces, DSC_SPACE_IO, IO_Y), *weight = at(spaces, DSC_SPACE_IO, IO_WEIGHT);
  const float *prediction = at(spaces, DSC_SPACE_IO, IO_PREDICTION);
  float sum = 0, total = 0;
  for (int i = 0; i < BATCH; ++i) {
    sum += weight[i] * (prediction[i] - y[i]) * (prediction[i] - y[i]);
    total += weight[i];
  }
  *at(spaces, DSC_SPACE_IO, IO_LOSS_SUM) = sum;
  *at(spaces, DSC_SPACE_IO, IO_LOSS_WEIGHT) = total;
  return 0;
}
