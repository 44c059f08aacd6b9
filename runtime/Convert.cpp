// Checked conversion of users' values.

#include "runtime/Convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace dsc;

static constexpr int64_t blockElements = 512;

bool dsc::converts(Dtype from, Dtype to) { return isFloat(from) == isFloat(to); }

bool dsc::conversionRounds(Dtype from, Dtype to) {
  if (!isFloat(from) || from == to || to == DSC_F64) {
    return false;
  }
  bool half = from == DSC_F16 || from == DSC_BF16;
  return !(half && to == DSC_F32);
}

/// The integers that `dtype` holds, as far as int64 reaches.
static std::pair<int64_t, int64_t> integerLimits(Dtype dtype) {
  switch (dtype) {
  case DSC_BOOL:
    return {0, 1};
  case DSC_I8:
    return {INT8_MIN, INT8_MAX};
  case DSC_U8:
    return {0, UINT8_MAX};
  case DSC_I16:
    return {INT16_MIN, INT16_MAX};
  case DSC_U16:
    return {0, UINT16_MAX};
  case DSC_I32:
    return {INT32_MIN, INT32_MAX};
  case DSC_U32:
    return {0, UINT32_MAX};
  case DSC_U64:
    return {0, INT64_MAX};
  default:
    return {INT64_MIN, INT64_MAX};
  }
}

template <typename T>
static void loadBlock(const std::byte *source, int64_t *values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, source + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    values[i] = static_cast<int64_t>(value);
  }
}

static void loadIntegers(Dtype dtype, const std::byte *source, int64_t *values, int64_t count) {
  switch (dtype) {
  case DSC_U16:
    return loadBlock<uint16_t>(source, values, count);
  case DSC_I32:
    return loadBlock<int32_t>(source, values, count);
  case DSC_U32:
    return loadBlock<uint32_t>(source, values, count);
  case DSC_I64:
    return loadBlock<int64_t>(source, values, count);
  case DSC_U8:
    return loadBlock<uint8_t>(source, values, count);
  default:
    for (int64_t i = 0; i < count; ++i) {
      values[i] = loadAsInteger(dtype, source, i);
    }
  }
}

static std::optional<BadValue> convertIntegers(Dtype from, const std::byte *source, Dtype to,
                                               std::byte *target, int64_t count,
                                               const ValueRange &range) {
  auto [low, high] = integerLimits(to);
  std::string limit = dtypeName(to);
  if (range.classes) {
    low = std::max<int64_t>(low, 0);
    high = std::min(high, range.classes - 1);
    limit = format("%lld..%lld", static_cast<long long>(low), static_cast<long long>(high));
    if (range.exception) {
      limit += format(" and is not the ignored %lld", static_cast<long long>(*range.exception));
    }
  }
  int64_t values[blockElements];
  for (int64_t begin = 0; begin < count; begin += blockElements) {
    int64_t block = std::min(blockElements, count - begin);
    loadIntegers(from, source + begin * dtypeSize(from), values, block);
    bool fits = true;
    for (int64_t i = 0; i < block; ++i) {
      fits &= values[i] >= low && values[i] <= high;
    }
    // u64 was read through int64 with saturation; its largest value is then not to be trusted.
    if (from == DSC_U64 && to != DSC_U64) {
      for (int64_t i = 0; i < block; ++i) {
        fits &= values[i] != INT64_MAX;
      }
    }
    if (!fits) {
      for (int64_t i = 0; i < block; ++i) {
        bool inside = values[i] >= low && values[i] <= high &&
                      !(from == DSC_U64 && to != DSC_U64 && values[i] == INT64_MAX);
        if (!inside && !(range.exception && values[i] == *range.exception)) {
          return BadValue{begin + i, format("the value %lld is outside %s",
                                            static_cast<long long>(values[i]), limit.c_str())};
        }
      }
    }
    std::byte *out = target + begin * dtypeSize(to);
    if (from == to) {
      std::memcpy(out, source + begin * dtypeSize(from),
                  static_cast<size_t>(block * dtypeSize(to)));
    } else if (to == DSC_I64) {
      std::memcpy(out, values, static_cast<size_t>(block) * 8);
    } else {
      for (int64_t i = 0; i < block; ++i) {
        storeFromInteger(to, out, i, values[i]);
      }
    }
  }
  return std::nullopt;
}

template <typename T>
static std::optional<BadValue> findNotFinite(const std::byte *data, int64_t count) {
  for (int64_t begin = 0; begin < count; begin += blockElements) {
    int64_t block = std::min(blockElements, count - begin);
    T values[blockElements];
    std::memcpy(values, data + begin * static_cast<int64_t>(sizeof(T)),
                static_cast<size_t>(block) * sizeof(T));
    bool finite = true;
    for (int64_t i = 0; i < block; ++i) {
      finite &= std::fabs(values[i]) <= std::numeric_limits<T>::max();
    }
    for (int64_t i = 0; !finite && i < block; ++i) {
      if (!std::isfinite(values[i])) {
        return BadValue{begin + i,
                        std::isnan(values[i]) ? "the value is NaN" : "the value is infinite"};
      }
    }
  }
  return std::nullopt;
}

/// To nearest, ties to even; NaN stays one. Nothing finite becomes infinite but what rounds to it.
static std::optional<BadValue> convertToBf16(const std::byte *source, std::byte *target,
                                             int64_t count) {
  bool overflows = false;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, source + 4 * i, 4);
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    const bool isFinite = (bits & 0x7f800000) != 0x7f800000;
    const bool isNan = !isFinite && (bits & 0x7fffff) != 0;
    const auto half = static_cast<uint16_t>(isNan ? bits >> 16 | 0x40 : rounded >> 16);
    overflows |= isFinite && (half & 0x7f80) == 0x7f80;
    std::memcpy(target + 2 * i, &half, 2);
  }
  for (int64_t i = 0; overflows && i < count; ++i) {
    float value;
    std::memcpy(&value, source + 4 * i, 4);
    if (std::isfinite(value) && std::isinf(loadAsDouble(DSC_BF16, target, i))) {
      return BadValue{i, format("the value %g is outside %s", value, dtypeName(DSC_BF16))};
    }
  }
  return std::nullopt;
}

static std::optional<BadValue> convertFloats(Dtype from, const std::byte *source, Dtype to,
                                             std::byte *target, int64_t count,
                                             const ValueRange &range) {
  if (from == DSC_F32 && to == DSC_BF16 && !range.finite) {
    return convertToBf16(source, target, count);
  }
  if (from == to) {
    std::memcpy(target, source, static_cast<size_t>(count * dtypeSize(to)));
  } else if (from == DSC_F64 && to == DSC_F32) {
    for (int64_t i = 0; i < count; ++i) {
      double value;
      std::memcpy(&value, source + 8 * i, 8);
      auto narrow = static_cast<float>(value);
      std::memcpy(target + 4 * i, &narrow, 4);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      storeFromDouble(to, target, i, loadAsDouble(from, source, i));
    }
  }
  if (from != to && dtypeSize(to) < dtypeSize(from)) {
    // Only a finite value that became infinite is out of range: infinity itself may be meant.
    for (int64_t i = 0; i < count; ++i) {
      if (std::isinf(loadAsDouble(to, target, i)) && std::isfinite(loadAsDouble(from, source, i))) {
        return BadValue{
            i, format("the value %g is outside %s", loadAsDouble(from, source, i), dtypeName(to))};
      }
    }
  }
  if (!range.finite) {
    return std::nullopt;
  }
  if (to == DSC_F32) {
    return findNotFinite<float>(target, count);
  }
  if (to == DSC_F64) {
    return findNotFinite<double>(target, count);
  }
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(loadAsDouble(to, target, i))) {
      return BadValue{i, "the value is not finite"};
    }
  }
  return std::nullopt;
}

std::optional<BadValue> dsc::convertValues(Dtype from, const std::byte *source, Dtype to,
                                           std::byte *target, int64_t count,
                                           const ValueRange &range) {
  return isFloat(to) ? convertFloats(from, source, to, target, count, range)
                     : convertIntegers(from, source, to, target, count, range);
}
