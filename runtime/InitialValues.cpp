// Random weights to start from (--init=random).
// Numbers must have the same bits on every machine: in this file products and sums stay apart.

#include "runtime/InitialValues.h"

#include "runtime/Philox.h"
#include "runtime/Pieces.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

using namespace dsc;

#pragma STDC FP_CONTRACT OFF

/// Apart from Dropout's streams, which have the seed as it is.
static constexpr uint32_t kKeyOfWeights = 0x696e6974; // "init"

/// FNV-1a in 64 bits.
static uint64_t hashOf(const std::string &name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

/// Both words of Philox's key.
static uint64_t keyOf(int64_t seed) {
  return static_cast<uint64_t>(seed) ^ static_cast<uint64_t>(kKeyOfWeights) << 32;
}

/// [0, 1) from the upper 24 bits.
static float unit(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

template <size_t count> static float horner(const float (&coefficients)[count], float x) {
  float sum = coefficients[count - 1];
  for (size_t i = count - 1; i-- > 0;) {
    sum = sum * x + coefficients[i];
  }
  return sum;
}

/// log(x) for normal x in (0, 1].
static float plainLog(float x) {
  static constexpr float log[] = DSC_NORMAL_LOG;
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const int32_t exponent = (bits - 0x3f3504f3) >> 23; // rounded down
  bits -= static_cast<int32_t>(static_cast<uint32_t>(exponent) << 23);
  std::memcpy(&x, &bits, sizeof bits);
  const float f = x - 1, square = f * f;
  const float sum = square * f * horner(log, f) - square * 0.5F + f;
  return sum + static_cast<float>(exponent) * static_cast<float>(DSC_NORMAL_LN2);
}

/// Two normal numbers of two in [0, 1).
static std::pair<float, float> plainBoxMuller(float u, float v) {
  static constexpr float sin[] = DSC_NORMAL_SIN, cos[] = DSC_NORMAL_COS;
  const float radius = std::sqrt(plainLog(1 - u) * -2);
  const float turns = v * 4;
  const auto quadrant = static_cast<int32_t>(turns + 0.5F);
  const float a = (turns - static_cast<float>(quadrant)) * static_cast<float>(DSC_NORMAL_HALF_PI);
  const float square = a * a;
  const float sine = a * square * horner(sin, square) + a;
  const float cosine = square * square * horner(cos, square) - square * 0.5F + 1;
  const bool isOdd = quadrant & 1;
  const float x = isOdd ? sine : cosine, y = isOdd ? cosine : sine;
  return {radius * ((quadrant + 1) & 2 ? -x : x), radius * (quadrant & 2 ? -y : y)};
}

void dsc::randomValues(const GlobalSpec &spec, int64_t seed, int64_t first, int64_t count,
                       float *out) {
  const uint64_t name = hashOf(spec.name), key = keyOf(seed);
  const auto key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  const auto scale = static_cast<float>(spec.scale);
  for (int64_t element = first - first % 4; element < first + count; element += 4) {
    const auto group = static_cast<uint64_t>(element / 4);
    const std::array<uint32_t, 4> words =
        philox({static_cast<uint32_t>(group), static_cast<uint32_t>(group >> 32),
                static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32)},
               key0, key1);
    std::array<float, 4> values;
    for (size_t i = 0; i < 4; i += 2) {
      const float u = unit(words[i]), v = unit(words[i + 1]);
      if (spec.random == Randomness::Uniform) {
        values[i] = (2 * u - 1) * scale;
        values[i + 1] = (2 * v - 1) * scale;
      } else {
        const auto [x, y] = plainBoxMuller(u, v);
        values[i] = x * scale;
        values[i + 1] = y * scale;
      }
    }
    for (int64_t i = std::max(first - element, int64_t(0)); i < 4; ++i) {
      if (element + i < first + count) {
        out[element + i - first] = values[static_cast<size_t>(i)];
      }
    }
  }
}

/// Elements [first, first + count) in the parameter's type, shared by `threads`.
static Status makeValues(const GlobalSpec &spec, int64_t seed, int64_t first, int64_t count,
                         std::byte *target, int threads) {
  return forPieces(threads, count, [&](int64_t at, int64_t here) {
    std::vector<float> values(static_cast<size_t>(here));
    randomValues(spec, seed, first + at, here, values.data());
    if (spec.dtype == DSC_F32) {
      std::memcpy(target + at * 4, values.data(), static_cast<size_t>(here) * 4);
    }
    for (int64_t i = 0; spec.dtype != DSC_F32 && i < here; ++i) {
      storeFromDouble(spec.dtype, target, at + i, values[static_cast<size_t>(i)]);
    }
    return Status();
  });
}

namespace {
/// The dims of a tensor as a kernel for the start takes them: the innermost first, joined where
/// they continue each other.
struct StartDims {
  int64_t sizes[DSC_START_DIMS] = {1, 1, 1, 1}, strides[DSC_START_DIMS] = {};

  /// Whether they are few enough.
  bool set(const GlobalSpec &spec, int64_t elements) {
    if (spec.strides.empty()) {
      sizes[0] = elements;
      strides[0] = 1;
      return true;
    }
    size_t count = 0;
    for (size_t i = spec.shape.size(); i-- > 0;) {
      if (spec.shape[i] == 1) {
        continue;
      }
      if (count > 0 && spec.strides[i] == sizes[count - 1] * strides[count - 1]) {
        sizes[count - 1] *= spec.shape[i];
      } else if (count < DSC_START_DIMS) {
        sizes[count] = spec.shape[i];
        strides[count++] = spec.strides[i];
      } else {
        return false;
      }
    }
    return true;
  }
};
} // namespace

/// Has the device draw `spec`. False where it cannot.
static Result<bool> drawOnDevice(Session &session, const GlobalSpec &spec, int64_t seed) {
  const int64_t elements = elementCount(spec.shape).value_or(0);
  StartDims dims;
  if (spec.dtype != DSC_F32 || session.device().isHostMemory() || !dims.set(spec, elements)) {
    return false;
  }
  const auto size = dtypeSize(spec.dtype);
  auto [begin, end] = session.manifest().ownBytes(spec, session.ranks(), session.rank());
  begin /= size;
  end /= size;
  // What lies in order is drawn from the first own element on.
  const bool isDense = spec.strides.empty();
  const int64_t first = isDense ? begin / 4 : 0, last = ((isDense ? end : elements) + 3) / 4;
  if (begin >= end || first >= last) {
    return true;
  }
  const auto scale = static_cast<float>(spec.scale);
  uint32_t scaleBits;
  std::memcpy(&scaleBits, &scale, sizeof scaleBits);
  std::vector<void *> args(DSC_START_ARGUMENTS);
  auto set = [&](int argument, auto value) {
    args[static_cast<size_t>(argument)] = reinterpret_cast<void *>(static_cast<uintptr_t>(value));
  };
  args[DSC_START_TARGET] = session.device().address(spec);
  set(DSC_START_FIRST, first);
  set(DSC_START_LAST, last);
  set(DSC_START_NAME, hashOf(spec.name));
  set(DSC_START_KEY, keyOf(seed));
  set(DSC_START_SCALE, scaleBits);
  set(DSC_START_ELEMENTS, elements);
  set(DSC_START_BEGIN, begin);
  set(DSC_START_END, end);
  for (int dim = 0; dim < DSC_START_DIMS; ++dim) {
    set(DSC_START_SIZES + dim, dims.sizes[dim]);
    set(DSC_START_STRIDES + dim, dims.strides[dim]);
  }
  const char *kernel = spec.random == Randomness::Normal ? DSC_START_NORMAL : DSC_START_UNIFORM;
  return session.launchStart(kernel, args, last - first);
}

Status dsc::fillRandomWeights(Session &session, int64_t seed) {
  const int threads = session.startThreads();
  for (const GlobalSpec &spec : session.manifest().globals) {
    if (spec.random == Randomness::None) {
      continue;
    }
    Result<bool> drawn = drawOnDevice(session, spec, seed);
    DSC_RETURN_IF_FAILED(drawn.status());
    if (*drawn) {
      continue;
    }
    DSC_RETURN_IF_FAILED(
        session.writeElements(spec, [&](std::byte *target, int64_t first, int64_t count) {
          return makeValues(spec, seed, first, count, target, threads);
        }));
  }
  return {};
}
