// Whether this processor can run a program.

#include "runtime/CpuFeatures.h"

#include <cpuid.h>
#include <cstdint>
#include <sstream>

namespace {
enum Register { A, B, C, D };

struct Feature {
  const char *name;
  unsigned leaf, subleaf;
  Register reg;
  int bit;
  /// State that the kernel must save: bits of XCR0.
  uint64_t state;
};

constexpr uint64_t ymm = 0x6, zmm = 0xe6, tiles = 0x60000;

constexpr Feature knownFeatures[] = {
    {"sse3", 1, 0, C, 0, 0},
    {"ssse3", 1, 0, C, 9, 0},
    {"sse4.1", 1, 0, C, 19, 0},
    {"sse4.2", 1, 0, C, 20, 0},
    {"popcnt", 1, 0, C, 23, 0},
    {"movbe", 1, 0, C, 22, 0},
    {"fma", 1, 0, C, 12, ymm},
    {"avx", 1, 0, C, 28, ymm},
    {"f16c", 1, 0, C, 29, ymm},
    {"bmi", 7, 0, B, 3, 0},
    {"avx2", 7, 0, B, 5, ymm},
    {"bmi2", 7, 0, B, 8, 0},
    {"avx512f", 7, 0, B, 16, zmm},
    {"avx512dq", 7, 0, B, 17, zmm},
    {"avx512ifma", 7, 0, B, 21, zmm},
    {"avx512cd", 7, 0, B, 28, zmm},
    {"avx512bw", 7, 0, B, 30, zmm},
    {"avx512vl", 7, 0, B, 31, zmm},
    {"avx512vbmi", 7, 0, C, 1, zmm},
    {"avx512vbmi2", 7, 0, C, 6, zmm},
    {"avx512vnni", 7, 0, C, 11, zmm},
    {"avx512bitalg", 7, 0, C, 12, zmm},
    {"avx512vpopcntdq", 7, 0, C, 14, zmm},
    {"avx512fp16", 7, 0, D, 23, zmm},
    {"amx-bf16", 7, 0, D, 22, tiles},
    {"amx-tile", 7, 0, D, 24, tiles},
    {"amx-int8", 7, 0, D, 25, tiles},
    {"avxvnni", 7, 1, A, 4, ymm},
    {"avx512bf16", 7, 1, A, 5, zmm},
    {"lzcnt", 0x80000001, 0, C, 5, 0},
};

/// The states that the kernel saves on a task switch.
uint64_t savedStates() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) {
    return 0;
  }
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

bool has(const Feature &feature, uint64_t saved) {
  unsigned registers[4] = {};
  return __get_cpuid_count(feature.leaf, feature.subleaf, &registers[A], &registers[B],
                           &registers[C], &registers[D]) &&
         (registers[feature.reg] >> feature.bit & 1) && (saved & feature.state) == feature.state;
}
} // namespace

std::vector<std::string> dsc::missingCpuFeatures(const std::string &features) {
  std::vector<std::string> missing;
  const uint64_t saved = savedStates();
  std::istringstream list(features);
  for (std::string item; std::getline(list, item, ',');) {
    for (const Feature &feature : knownFeatures) {
      if (item == std::string("+") + feature.name && !has(feature, saved)) {
        missing.push_back(feature.name);
      }
    }
  }
  return missing;
}
