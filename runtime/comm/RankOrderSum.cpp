// Sums over ranks.

#include "runtime/comm/RankOrderSum.h"

#include "runtime/abi.h"
#include "runtime/cpu/HalfKernels.h"

#include <algorithm>

using namespace dsc;

/// Elements that are added at a time, in the first cache.
static constexpr int64_t tile = 1024;

bool dsc::canAddInRankOrder(int32_t dtype) {
  return dtype == DSC_F32 || dtype == DSC_F64 || dsc_is_half(dtype);
}

template <typename T>
static void addWide(const void *const *parts, int ranks, int64_t begin, int64_t count, T *sum) {
  std::copy_n(static_cast<const T *>(parts[0]) + begin, count, sum);
  for (int rank = 1; rank < ranks; ++rank) {
    const T *part = static_cast<const T *>(parts[rank]) + begin;
    for (int64_t i = 0; i < count; ++i) {
      sum[i] += part[i];
    }
  }
}

static void addHalf(int32_t dtype, const void *const *parts, int ranks, int64_t begin,
                    int64_t count, float *sum) {
  const HalfKernels &half = halfKernels();
  half.widen(dtype, count, static_cast<const uint16_t *>(parts[0]) + begin, sum);
  for (int rank = 1; rank < ranks; ++rank) {
    float part[tile];
    half.widen(dtype, count, static_cast<const uint16_t *>(parts[rank]) + begin, part);
    for (int64_t i = 0; i < count; ++i) {
      sum[i] += part[i];
    }
  }
}

template <typename T> static void divide(T *sum, int64_t count, int ranks) {
  const T divisor = static_cast<T>(ranks);
  for (int64_t i = 0; i < count; ++i) {
    sum[i] /= divisor;
  }
}

void dsc::addInRankOrder(int32_t dtype, const void *const *parts, int ranks, int64_t count,
                         bool mean, void *target) {
  for (int64_t begin = 0; begin < count; begin += tile) {
    const int64_t some = std::min(tile, count - begin);
    if (dtype == DSC_F64) {
      double sum[tile];
      addWide(parts, ranks, begin, some, sum);
      if (mean) {
        divide(sum, some, ranks);
      }
      std::copy_n(sum, some, static_cast<double *>(target) + begin);
      continue;
    }
    float sum[tile];
    if (dtype == DSC_F32) {
      addWide(parts, ranks, begin, some, sum);
    } else {
      addHalf(dtype, parts, ranks, begin, some, sum);
    }
    if (mean) {
      divide(sum, some, ranks);
    }
    if (dtype == DSC_F32) {
      std::copy_n(sum, some, static_cast<float *>(target) + begin);
    } else {
      halfKernels().narrow(dtype, some, sum, static_cast<uint16_t *>(target) + begin);
    }
  }
}
