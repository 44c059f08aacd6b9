// Random weights to start from (--init=random).

#include "runtime/InitialValues.h"

#include "runtime/Philox.h"
#include "runtime/Pieces.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

using namespace dsc;

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

/// [0, 1) from the upper 24 bits.
static float unit(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

void dsc::randomValues(const GlobalSpec &spec, int64_t seed, int64_t first, int64_t count,
                       float *out) {
  const uint64_t name = hashOf(spec.name);
  const auto key0 = static_cast<uint32_t>(seed);
  const uint32_t key1 = static_cast<uint32_t>(static_cast<uint64_t>(seed) >> 32) ^ kKeyOfWeights;
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
        const float radius = std::sqrt(-2 * std::log(1 - u)), angle = 6.2831853F * v;
        values[i] = radius * std::cos(angle) * scale;
        values[i + 1] = radius * std::sin(angle) * scale;
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

Status dsc::fillRandomWeights(Session &session, int64_t seed) {
  const int threads = std::max(session.device().threads(), 1);
  for (const GlobalSpec &spec : session.manifest().globals) {
    if (spec.random == Randomness::None) {
      continue;
    }
    DSC_RETURN_IF_FAILED(
        session.writeElements(spec, [&](std::byte *target, int64_t first, int64_t count) {
          return makeValues(spec, seed, first, count, target, threads);
        }));
  }
  return {};
}
